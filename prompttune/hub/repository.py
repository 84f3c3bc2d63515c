"""Keys on the Hugging Face Hub: a repository holds one key, its card as model card, and previews.

What comes from there is a foreign file. It is downloaded only if it claims the size of a key, and
is read with every check of the format; pages and pictures of the repository are never read.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from prompttune.keys.files import KEY_FILE, is_name, key_file
from prompttune.keys.header import MAX_FILE
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.keys.saving import Savable

PICTURES = ("preview.png", "images.png", "colours.png")
_REFERENCE = re.compile(r"([\w.-]+/[\w.-]+)(?:@(.+))?")


@dataclass(frozen=True)
class Reference:
    """A repository, and which of its revisions."""

    repo: str
    """`user/name`."""
    revision: str | None = None
    """A branch, a tag or a commit; None: the newest."""

    @classmethod
    def parse(cls, text: str) -> "Reference | None":
        """Read `user/name[@revision]`; None for anything else, such as a path."""
        match = _REFERENCE.fullmatch(text)
        if match is None or text.startswith((".", "/", "~")):
            return None
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return self.repo + (f"@{self.revision}" if self.revision else "")


def pull(reference: Reference) -> Path:
    """Return the file of a key, from the cache where that has this revision.

    Without a network, what the cache has of the revision is used.

    Args:
        reference: the key's repository.

    Raises:
        InputError: no such repository, revision or key; no network and nothing in the cache; a
            file that is too large for a key, or that breaks the format.
    """
    from prompttune.keys.key import read_key  # imports torch: listing keys does not

    hub = _library()
    with _explained(reference):
        url = hub.hf_hub_url(reference.repo, KEY_FILE, revision=reference.revision)
        try:
            size = hub.get_hf_file_metadata(url).size
        except hub.errors.HfHubHTTPError:
            raise
        except (ConnectionError, hub.errors.HTTPError):
            size = None  # the cache may have it
        if size is not None and size > MAX_FILE:
            raise InputError(
                f"{reference}: its {KEY_FILE} has {size / 2**30:.1f} GiB; no key is larger than "
                f"{MAX_FILE / 2**30:.0f}. Nothing was downloaded."
            )
        path = Path(hub.hf_hub_download(reference.repo, KEY_FILE, revision=reference.revision))
    read_key(path)
    return path


def push(
    folder: Path, repo: str, *, private: bool = False, message: str = "", token: str | None = None
) -> Reference:
    """Upload a key with its model card and previews as one commit; make the repository if needed.

    Args:
        folder: of the key, or its file.
        repo: `user/name`.
        private: a new repository is seen by its owner alone.
        message: of the commit.
        token: that may write there; None: the one that `hf auth login` keeps, or `$HF_TOKEN`.

    Returns:
        The repository, pinned to the new commit.

    Raises:
        InputError: a key that breaks the format, no token or not a fitting one, no network.
    """
    from prompttune.hub.model_card import model_card
    from prompttune.keys.key import read_key
    from prompttune.keys.previews import write_previews

    hub = _library()
    reference = Reference.parse(repo)
    if reference is None or reference.revision:
        raise InputError(f"--repo {repo}: give user/name")
    file = key_file(folder)
    tensors, card = read_key(file)
    if (token or hub.get_token()) is None:
        raise InputError(
            f"{repo}: no token for the Hub; run `hf auth login`, or set HF_TOKEN, with a token "
            "that may write"
        )
    files: dict[str, str | bytes] = {
        KEY_FILE: str(file),
        "README.md": model_card(card, repo).encode(),
    }
    with _explained(reference), TemporaryDirectory(prefix="prompttune-") as made:
        write_previews(Path(made), tensors["images"], tensors["colours"], card)
        files |= {name: str(Path(made) / name) for name in PICTURES}
        api = hub.HfApi(token=token)
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.create_commit(
            repo,
            [hub.CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=message or f"Key {card.name}",
        )
    return Reference(repo, commit.oid)


def push_prompt(
    prompt: "Savable",
    repo: str,
    *,
    private: bool = False,
    message: str = "",
    token: str | None = None,
) -> str:
    """Upload a learned prompt; arguments and errors are those of `Prompt.push_to_hub`."""
    from prompttune.keys.saving import save_learned

    name = repo.rpartition("/")[2].lower()
    with TemporaryDirectory(prefix="prompttune-") as folder:
        key = save_learned(prompt, Path(folder) / (name if is_name(name) else "key"))
        return str(push(key, repo, private=private, message=message, token=token))


def _library():  # type: ignore[no-untyped-def]
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise InputError("the Hub needs huggingface_hub: pip install 'prompttune[hub]'") from error
    return huggingface_hub


@contextmanager
def _explained(reference: Reference) -> Iterator[None]:
    """Say in one line what the Hub or its library has refused."""
    errors = _library().errors
    where = reference.repo
    try:
        yield
    except errors.GatedRepoError:
        raise InputError(
            f"{where}: asks for consent; give it on the Hub's page and run `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{where}: has no revision '{reference.revision}'") from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f"{where}: there is no such repository on the Hub, or it is private: check the name, "
            "or run `hf auth login`"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise InputError(
            f"{reference}: the Hub cannot be reached, and the cache does not have this key"
        ) from None
    except errors.EntryNotFoundError:
        raise InputError(f"{reference}: no {KEY_FILE} there; it is not a key") from None
    except errors.HFValidationError as error:
        raise InputError(f"{where}: no repository of the Hub ({_line(error)})") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        denied = "the token may not do that" if status in (401, 403) else _line(error)
        raise InputError(f"{where}: the Hub refused ({status or 'no answer'}): {denied}") from None
    except RuntimeError as error:  # of an upload that broke off
        raise InputError(f"{where}: nothing was pushed ({_line(error)})") from None
    except (ConnectionError, errors.HTTPError) as error:  # the latter of the library below
        raise InputError(f"{where}: the Hub cannot be reached ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
