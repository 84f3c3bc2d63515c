"""Zoos behind a web server: the index, its checksums, and servers that lie."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompttune.cli import zoo
from prompttune.hub.https_zoo import INDEX, fetch_key, read_index
from prompttune.keys.files import KEY_FILE
from prompttune.prompts.loading import load_key
from prompttune.utils.errors import InputError


class Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/index.json")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(own: Path, key: Path) -> Iterator[str]:
    assert zoo.main(["index", str(own)]) == 0
    serve = functools.partial(Quiet, directory=str(own))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def change(own: Path, **fields) -> None:
    index = json.loads((own / INDEX).read_text())
    index["keys"][0] |= fields
    (own / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize("words", [[], ["retina"], ["--all"]], ids=str)
def test_a_key_is_pulled(site: str, key: Path, tmp_path: Path, words, capsys) -> None:
    target = tmp_path / "mine"
    assert zoo.main(["pull", site, *words, "--prompts_zoo", str(target)]) == 0
    assert (target / "retina" / KEY_FILE).read_bytes() == (key / KEY_FILE).read_bytes()
    assert "pulled" in capsys.readouterr().out
    assert load_key(target / "retina")[1].name == "retina"


def refused(site: str, why: str, tmp_path: Path, *words: str) -> None:
    target = tmp_path / "mine"
    with pytest.raises(InputError, match=why):
        zoo.main(["pull", site, *words, "--prompts_zoo", str(target)])
    assert not target.exists() or not list(target.iterdir())


def test_what_the_index_does_not_promise_is_refused(site, own, key, tmp_path) -> None:
    refused(f"{site}/nowhere.json", "the server answers 404", tmp_path)
    refused(f"{site}/away.json", "by https:// alone", tmp_path)
    refused("http://example.invalid/zoo", "by https:// alone", tmp_path)
    refused("https://127.0.0.1:9/zoo", "cannot be fetched", tmp_path)
    refused(f"{site}/retina/{KEY_FILE}", "the server answers 404", tmp_path)
    change(own, sha256="0" * 64)
    refused(site, "its checksum differs", tmp_path)
    change(own, size=10)
    refused(site, "larger than the 10 bytes that were promised", tmp_path)
    change(own, size=3 * 2**30)
    refused(site, "has 3.0 GiB; no key is so large", tmp_path)
    change(own, name="../../evil")
    refused(site, "is not the index of a zoo", tmp_path)
    (own / INDEX).write_text("<html>")
    refused(site, "is not the index of a zoo", tmp_path)


def test_a_wrong_name_gets_a_hint(site: str) -> None:
    index = read_index(site)
    with pytest.raises(InputError, match="Did you mean 'retina'"):
        fetch_key(site, index, "retna")


def test_of_several_keys_one_must_be_named(site, own, make, tmp_path) -> None:
    from prompttune.keys.key import save_key

    save_key(*make("cracks"), own)
    zoo.main(["index", str(own)])
    refused(site, "name the keys to pull, or --all; it has cracks, retina", tmp_path)
