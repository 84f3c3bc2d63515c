"""The routes of the page, beside those of the server."""

import io
from importlib.resources import files
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from PIL import Image

from prompttune.serve.images import read_mask, read_pixels
from prompttune.serve.limits import Refused
from prompttune.serve.work import Service, apart
from prompttune.studio.answering import add_answers, zipped
from prompttune.studio.examples import Examples, Store
from prompttune.studio.tunings import Tunings
from prompttune.studio.wanted import Begin, Download, Save
from prompttune.utils.errors import InputError

SCRIPTS = (
    "answers", "brush", "classes", "downloads", "images", "keep", "keys", "paint", "server",
    "state", "studio", "tuning",
)  # fmt: skip
STATIC = {"studio.css": "text/css"} | {f"{name}.js": "text/javascript" for name in SCRIPTS}
LARGE = 2_000_000
"""Pixels from which a browser gets a JPEG to show."""
POLICY = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none';"
    " base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",  # a newer page must not run with older scripts
}
"""Nothing of other sites is loaded, and none may put the page into a frame."""


class Studio:
    """What the routes of a page need: the server's service, the files, the tunings."""

    def __init__(self, service: Service, store: Store, tunings: Tunings) -> None:
        self.service, self.store, self.tunings = service, store, tunings
        self.examples = Examples(service, store)


def add_studio(app: FastAPI, studio: Studio) -> None:
    """Add the page and its routes to a server."""
    _add_page(app)
    _add_files(app, studio)
    add_answers(app, studio.service, studio.examples, studio.tunings)
    _add_tunings(app, studio)


def _add_page(app: FastAPI) -> None:
    pages = files("prompttune.studio") / "page"

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        content = (pages / "index.html").read_bytes()
        return Response(content, media_type="text/html", headers=POLICY)

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in STATIC:
            raise Refused(404, "There is no such file.")
        return Response((pages / name).read_bytes(), media_type=STATIC[name], headers=POLICY)


def _add_files(app: FastAPI, studio: Studio) -> None:
    store, service, examples = studio.store, studio.service, studio.examples

    @app.post("/studio/images", include_in_schema=False)
    async def bring_image(request: Request) -> dict[str, Any]:
        data = await request.body()
        pixels = await apart(service, lambda: read_pixels(data, "image", service.limits))
        return {"id": store.add(data), "height": pixels.shape[0], "width": pixels.shape[1]}

    @app.get("/studio/images/{name}/view", include_in_schema=False)
    async def view(name: str, side: int = 0) -> Response:
        data, kind = await apart(service, lambda: _shown(examples.pixels(name), side))
        return Response(data, media_type=kind)

    @app.post("/studio/masks", include_in_schema=False)
    async def bring_mask(request: Request) -> dict[str, str]:
        return {"id": store.add(await request.body())}

    @app.post("/studio/masks/read", include_in_schema=False)
    async def read(request: Request, classes: int) -> Response:
        data, names = await request.body(), [str(n) for n in range(1, classes + 1)]
        found = await apart(service, lambda: read_mask(data, "mask", names, studio.service.limits))
        headers = {"x-height": str(found.shape[0]), "x-width": str(found.shape[1])}
        return Response(found.tobytes(), media_type="application/octet-stream", headers=headers)

    @app.post("/studio/download", include_in_schema=False)
    async def download(wanted: Download) -> Response:
        data = await apart(service, lambda: zipped(examples, wanted))
        return Response(data, media_type="application/zip")


def _add_tunings(app: FastAPI, studio: Studio) -> None:
    tunings, service = studio.tunings, studio.service

    @app.post("/studio/tunings", include_in_schema=False)
    async def begin(wanted: Begin) -> dict[str, str]:
        segmenter = service.segmenter
        prompt = await studio.examples.prompt(wanted.examples, wanted.classes)
        scale = prompt.parts[0].known_scale
        pairs = await apart(service, lambda: studio.examples.pairs(wanted.examples))
        canvas = segmenter.canvas(None)
        if scale is None:  # a crop then shows the largest image whole
            scale = canvas / max(max(mask.shape) for _, mask in pairs)
        data = [
            (studio.store.get(one.image), mask)
            for one, (_, mask) in zip(wanted.examples, pairs, strict=True)
        ]
        name = tunings.begin(
            data, tuple(wanted.classes), scale, canvas, segmenter.network.fingerprint, wanted.steps
        )
        return {"id": name}

    @app.get("/studio/tunings/{name}", include_in_schema=False)
    async def state(name: str) -> dict[str, Any]:
        return await apart(service, tunings.get(name).state)

    @app.post("/studio/tunings/{name}/stop", include_in_schema=False)
    async def stop(name: str) -> dict[str, Any]:
        tuning = tunings.get(name)
        await apart(service, tuning.stop)
        return tuning.state()

    @app.post("/studio/tunings/{name}/go-on", include_in_schema=False)
    async def go_on(name: str) -> dict[str, Any]:
        tunings.go_on(name)
        return tunings.get(name).state()

    @app.post("/studio/tunings/{name}/save", include_in_schema=False)
    async def save(name: str, wanted: Save) -> dict[str, str]:
        prompt = await apart(service, tunings.get(name).prompt)
        if prompt.card is None:
            raise Refused(409, "Let the tuning come to its end first; then it can be saved.")
        folder = service.keys.place(wanted.name)
        try:
            await apart(service, lambda: prompt.save(folder))
        except InputError as error:
            raise Refused(422, str(error).replace(str(folder.parent), "the zoo")) from None
        return {"name": wanted.name}


def _shown(pixels: np.ndarray, side: int = 0) -> tuple[bytes, str]:
    """Return what a browser shows: the pixels that examples see, or keys of plain 8-bit images.

    Args:
        pixels: `H x W x 3 uint8`.
        side: of a small picture; 0: the image as it is.
    """
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if side > 0:
        image.thumbnail((side, side))
    large = image.width * image.height > LARGE
    if large:
        image.save(file, "JPEG", quality=92)
    else:
        image.save(file, "PNG", compress_level=1)
    return file.getvalue(), "image/jpeg" if large else "image/png"
