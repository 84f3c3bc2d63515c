"""The JavaScript example, run by Chromium: the answer of a browser against `predict`."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prompttune.export.onnx_file import OnnxOptions, export_onnx

FOLDER = Path(__file__).parents[2] / "examples" / "onnx"
RUNTIME = FOLDER / "node_modules" / "onnxruntime-web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]
PAGE = """<!doctype html><script type="importmap">
{"imports": {"onnxruntime-web": "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs"}}
</script><script type="module">
  let said;
  try {
    const ort = await import("onnxruntime-web");
    ort.env.wasm.numThreads = 1;
    const { segment } = await import("./segment.js");
    const [key, image] = await (await fetch("test.json")).json();
    const pixels = new ImageData(Uint8ClampedArray.from(image.data), image.width, image.height);
    said = { mask: [...await segment("test.onnx", key, pixels)] };
  } catch (error) { said = { error: String(error.stack ?? error) }; }
  await fetch("said", { method: "POST", body: JSON.stringify(said) });
</script>"""


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves the example, and beside it what the test made; keeps what the page says."""

    made: dict[str, bytes]
    said: list[dict]
    told: threading.Event

    def do_GET(self) -> None:
        body = self.made.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        kind = "text/html" if self.path.endswith(".html") else "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.told.set()

    def log_message(self, *_: object) -> None:
        pass


def ask(made: dict[str, bytes], profile: Path) -> dict:
    """Open the page in Chromium and return what it says."""
    told, said = threading.Event(), []
    handler = type("Handler", (Site,), {"made": made, "said": said, "told": told})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(FOLDER))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/test.html"
    browser = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert told.wait(120), "the page said nothing"
    finally:
        browser.terminate()
        browser.wait(30)
        server.shutdown()
        server.server_close()
    return said[0]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (apt install chromium)")
@pytest.mark.skipif(not RUNTIME.is_dir(), reason="onnxruntime-web is not installed (make browser)")
@pytest.mark.parametrize("scale", [1.0, 0.75])
def test_a_browser_answers_as_predict(segmenter, key_of, tmp_path, scale: float) -> None:
    pytest.importorskip("onnxscript")
    rows, columns = np.mgrid[:33, :25] / 25  # smooth: browsers resize in their own ways
    pixels = np.stack([rows, columns, np.sin(4 * rows * columns) ** 2], -1)
    pixels = (pixels.clip(0, 1) * 255).astype(np.uint8)
    key = replace(key_of(segmenter, ("a", "b"), prompts=2), scale=scale)
    key = replace(key, threshold=float(np.median(segmenter.predict(pixels, key).scores.sum(0))))
    about = export_onnx(key, segmenter, tmp_path / "test.onnx", OnnxOptions())
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    image = {"width": 25, "height": 33, "data": opaque.ravel().tolist()}
    made = {
        "/test.html": PAGE.encode(),
        "/test.json": json.dumps([about, image]).encode(),
        "/test.onnx": (tmp_path / "test.onnx").read_bytes(),
    }
    said = ask(made, tmp_path / "profile")
    assert "error" not in said, said
    mask = np.array(said["mask"]).reshape(33, 25)
    expected = segmenter.predict(pixels, key).classes
    assert 0.3 < (expected > 0).mean() < 0.7
    assert (mask == expected).mean() > (0.98 if scale == 1 else 0.9)
