"""What is killed: commands, how they go on, and what of their results must be as if nothing was."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.processes import command
from benchmarks.faults.whole import digests, final
from benchmarks.faults.world import World, make_key
from prompttune.utils.errors import InputError

Work = Callable[[Path], Callable[[], None]]
"""From the folder of a run to what a child does there."""


@dataclass(frozen=True)
class Scenario:
    """One kind of run.

    `begin` and `again` work in the folder of the run: the command, and what goes on with it.
    """

    name: str
    begin: Work
    again: Work
    answer: Callable[[Path], dict[str, str]]
    """What must be equal bit for bit, by name."""
    check: Callable[[Path], list[str]] = lambda _: []
    """What is wrong right after a kill, beside files that are not whole."""
    kept: Callable[[Path], list[Path]] | None = None
    """The files from which a run goes on."""

    @property
    def has_kept(self) -> bool:
        """Whether it goes on from files of its own."""
        return self.kept is not None


def scenarios(world: World, zoo_url: str) -> list[Scenario]:
    """Return all that need no cluster and no server.

    Args:
        world: what they read.
        zoo_url: of a zoo behind a web server.
    """
    return [_tuning(world, "tuning alone", 0), _tuning(world, "tuning with a companion", 2),
            prediction(world), _saving(world), _pulling(world, zoo_url),
            _pretraining(world), _report(world)]  # fmt: skip


def _tuning(world: World, name: str, companion: int) -> Scenario:
    def fit(*more: str) -> Work:
        words = (
            "fit", "--task", "custom", "--data", world.data, "--classes", "square", "--scale", "1",
            "--init", "noise", "--device", "cpu", "--precision", "fp32", "--backbone",
            world.backbone, "--name", "tuned", "--max_steps", 30, "--val_every", 3,
            "--batch", 2, "--val_crops", 4, "--companion", companion, *more,
        )  # fmt: skip
        return lambda folder: command(
            *words, "--prompts_zoo", folder / "zoo", "--output", folder / "run"
        )

    def answer(folder: Path) -> dict[str, str]:
        report = folder / "run" / "report"
        found = [folder / "zoo" / "tuned" / "prompt.safetensors", report / "comparison.json"]
        return digests([*found, *sorted(report.rglob("*.png"))], folder)

    def kept(folder: Path) -> list[Path]:
        return [folder / "run" / name for name in ("last.ckpt", "settings.json")]

    return Scenario(name, fit(), fit("--resume"), answer, kept=kept)


def prediction(world: World, key: str = "a", name: str = "a folder") -> Scenario:
    """Return the prediction of a folder of images with a key."""

    def predict(*more: str) -> Work:
        words = ("predict", "--prompt", key, world.images, "--prompts_zoo", world.zoo, "--device",
                 "cpu", "--backbone", world.backbone, "--format", "csv", "--instances",
                 *more)  # fmt: skip
        return lambda folder: command(*words, "--output", folder / "out")

    return Scenario(
        name, predict(), predict("--skip_done"),
        lambda folder: digests(final(folder / "out"), folder),
    )  # fmt: skip


def _saving(world: World) -> Scenario:
    """Save two keys again and again: `--resume` is to save them once more."""
    keys = {looks: make_key(world, "mine", looks)[0] for looks in ("mine", "other", "third")}

    def save(folder: Path) -> Callable[[], None]:
        def work() -> None:
            try:
                for looks in (*keys, *keys, *keys, "mine"):
                    keys[looks].save(folder / "zoo" / "mine", overwrite=True)
            except InputError as error:  # as commands end
                print(f"error: {error}", file=sys.stderr)
                sys.exit(2)

        return work

    def mixed(folder: Path) -> list[str]:
        """Say whether pictures of one key lie beside another."""
        key = folder / "zoo" / "mine"
        return mixture(key) if (key / "prompt.safetensors").exists() else []

    return Scenario(
        "`zoo` save", save, save, lambda folder: digests(final(folder / "zoo"), folder), mixed
    )


def mixture(key: Path) -> list[str]:
    """Return the files of a key's folder that belong to another key."""
    from tempfile import TemporaryDirectory

    from prompttune.keys.key import read_key
    from prompttune.keys.previews import write_previews

    kept, card = read_key(key)
    with TemporaryDirectory() as name:
        own = Path(name)
        write_previews(own, kept["images"], kept["colours"], card)
        made = {path.name: path.read_bytes() for path in own.iterdir()}
    return [
        name
        for name, content in made.items()
        if (key / name).exists() and (key / name).read_bytes() != content
    ]


def _pulling(world: World, url: str) -> Scenario:
    def pull(folder: Path) -> Callable[[], None]:
        words = ("zoo", "pull", url, "--all", "--overwrite", "--prompts_zoo", folder / "zoo")
        return command(*words)

    def mixed(folder: Path) -> list[str]:
        keys = (file.parent for file in (folder / "zoo").glob("[!.]*/prompt.safetensors"))
        return [name for key in keys for name in mixture(key)]

    return Scenario(
        "`zoo pull`", pull, pull, lambda folder: digests(final(folder / "zoo"), folder), mixed
    )


def _pretraining(world: World) -> Scenario:
    def pretrain(folder: Path) -> Callable[[], None]:
        words = ("pretrain", "--recipe", world.recipe, "--device", "cpu", "--resume")
        return command(*words, "--output", folder / "run")

    def answer(folder: Path) -> dict[str, str]:
        found = [folder / "run" / "backbone.safetensors"]
        return digests([*found, *sorted((folder / "run" / "state").glob("*.safetensors"))], folder)

    def kept(folder: Path) -> list[Path]:
        return sorted((folder / "run" / "state").iterdir())

    return Scenario("pretraining", pretrain, pretrain, answer, kept=kept)


def _report(world: World) -> Scenario:
    def compare(folder: Path) -> Callable[[], None]:
        return command(
            "compare", "--task", "custom", "--prompt", "a", "--prompts_zoo", world.zoo, "--data",
            world.data, "--backbone", world.backbone, "--device", "cpu", "--rows", "one-shot",
            "tuned", "--output", folder / "out",
        )  # fmt: skip

    def answer(folder: Path) -> dict[str, str]:
        out = folder / "out"
        return digests([path for path in final(out) if path.suffix != ".html"], folder)

    def no_page_of_others(folder: Path) -> list[str]:
        """A page that is there shows its own pictures, and the numbers beside it are its own."""
        out = folder / "out"
        there = [name for name in ("index.html", "comparison.json") if (out / name).exists()]
        return ["a page without its numbers"] if there == ["index.html"] else []

    return Scenario("a report", compare, compare, answer, no_page_of_others)
