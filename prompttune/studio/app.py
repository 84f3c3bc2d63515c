"""The routes of the page, beside those of the server."""

import asyncio
import io
import zipfile
from importlib.resources import files
from typing import Any, Literal, TypeVar

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from PIL import Image
from pydantic import BaseModel, Field

from prompttune.outputs.drawing import index_image, overlay
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.serve.images import read_mask, read_pixels
from prompttune.serve.limits import Refused
from prompttune.serve.work import Service, apart, scaled
from prompttune.studio.store import Store
from prompttune.studio.tunings import Tunings
from prompttune.utils.errors import InputError

T = TypeVar("T")
STATIC = {"studio.css": "text/css", "studio.js": "text/javascript", "paint.js": "text/javascript"}
LARGE = 2_000_000
"""Pixels from which a browser gets a JPEG to show."""


class Example(BaseModel):
    """An image and its class map, both as `Store` names them."""

    image: str
    mask: str


class Wanted(BaseModel):
    """What a page wants answered."""

    image: str
    kind: Literal["one-shot", "ensemble", "tuned", "key"]
    classes: list[str] = Field(min_length=1, max_length=20)
    examples: list[Example] = Field(default=[], max_length=16)
    tuning: str | None = None
    key: str | None = None


class Begin(BaseModel):
    """A tuning to begin."""

    classes: list[str] = Field(min_length=1, max_length=20)
    examples: list[Example] = Field(min_length=1, max_length=16)
    steps: int = Field(default=200, ge=1, le=5000)


class Save(BaseModel):
    """The name under which a tuned key is kept."""

    name: str = Field(max_length=64)


class Item(BaseModel):
    """A class map to download, with its image and the file name that the user gave it."""

    image: str
    mask: str
    name: str = Field(max_length=255)


class Download(BaseModel):
    """Masks and overlays to download."""

    classes: list[str] = Field(min_length=1, max_length=20)
    items: list[Item] = Field(min_length=1, max_length=500)


class Studio:
    """What the routes of a page need: the server's service, the files, the tunings."""

    def __init__(self, service: Service, store: Store, tunings: Tunings) -> None:
        self.service, self.store, self.tunings = service, store, tunings

    def pixels(self, name: str, prompt: Prompt | Composition | None = None) -> np.ndarray:
        """Decode an image that was brought, as a prompt is to see it."""
        return read_pixels(self.store.get(name), "image", self.service.limits, prompt)

    def pairs(self, examples: list[Example]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Decode examples."""
        images = [self.pixels(one.image) for one in examples]
        return [
            (image, self.store.class_map(one.mask, (image.shape[0], image.shape[1])))
            for image, one in zip(images, examples, strict=True)
        ]

    def example_prompt(self, examples: list[Example], classes: list[str]) -> Prompt:
        """Make a prompt of painted examples."""
        try:
            return Prompt.from_examples(
                self.pairs(examples), classes, "auto", self.service.segmenter.canvas(None)
            )
        except InputError as error:
            raise Refused(422, f"{error}.") from None


def add_studio(app: FastAPI, studio: Studio) -> None:
    """Add the page and its routes to a server."""
    _add_page(app)
    _add_files(app, studio)
    _add_answers(app, studio)
    _add_tunings(app, studio)


def _add_page(app: FastAPI) -> None:
    pages = files("prompttune.studio") / "page"

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return Response((pages / "index.html").read_bytes(), media_type="text/html")

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in STATIC:
            raise Refused(404, "There is no such file.")
        return Response((pages / name).read_bytes(), media_type=STATIC[name])


def _add_files(app: FastAPI, studio: Studio) -> None:
    store, service = studio.store, studio.service

    @app.post("/studio/images", include_in_schema=False)
    async def bring_image(request: Request) -> dict[str, Any]:
        data = await request.body()
        pixels = await apart(service, lambda: read_pixels(data, "image", service.limits))
        return {"id": store.add(data), "height": pixels.shape[0], "width": pixels.shape[1]}

    @app.get("/studio/images/{name}/view", include_in_schema=False)
    async def view(name: str) -> Response:
        data, kind = await apart(service, lambda: _shown(studio.pixels(name)))
        return Response(data, media_type=kind)

    @app.post("/studio/masks", include_in_schema=False)
    async def bring_mask(request: Request) -> dict[str, str]:
        return {"id": store.add(await request.body())}

    @app.post("/studio/masks/read", include_in_schema=False)
    async def read(request: Request, classes: int) -> Response:
        data, names = await request.body(), [str(n) for n in range(1, classes + 1)]
        found = await apart(service, lambda: read_mask(data, "mask", names, studio.service.limits))
        return _class_map(found)

    @app.post("/studio/download", include_in_schema=False)
    async def download(wanted: Download) -> Response:
        data = await apart(service, lambda: _zipped(studio, wanted))
        return Response(data, media_type="application/zip")


def _add_answers(app: FastAPI, studio: Studio) -> None:
    service = studio.service

    @app.post("/studio/answers", include_in_schema=False)
    async def answers(wanted: Wanted) -> Response:
        if wanted.kind == "tuned":
            prompt = await apart(service, studio.tunings.get(wanted.tuning or "").prompt)
        elif wanted.kind == "key":
            prompt = (await apart(service, lambda: service.keys.get(wanted.key or "")))[0]
        else:
            shown = wanted.examples[:1] if wanted.kind == "one-shot" else wanted.examples
            if not shown:
                raise Refused(422, "Paint a class on an image first.")
            made = await apart(service, lambda: studio.example_prompt(shown, wanted.classes))
            prompt = await scaled(service.engine, made)
        pixels = await apart(service, lambda: studio.pixels(wanted.image, prompt))
        job = service.engine.submit(pixels, prompt)
        try:
            result = await asyncio.wrap_future(job.done)
        finally:
            if not job.done.done():
                service.engine.cancel(job)
        return _class_map(result.classes)


def _add_tunings(app: FastAPI, studio: Studio) -> None:
    tunings, service = studio.tunings, studio.service

    @app.post("/studio/tunings", include_in_schema=False)
    async def begin(wanted: Begin) -> dict[str, str]:
        segmenter = service.segmenter
        made = await apart(service, lambda: studio.example_prompt(wanted.examples, wanted.classes))
        scale = (await scaled(service.engine, made)).parts[0].known_scale
        pairs = await apart(service, lambda: studio.pairs(wanted.examples))
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
        prompt = tunings.get(name).prompt()
        if prompt.card is None:
            raise Refused(409, "Let the tuning come to its end first; then it can be saved.")
        try:
            prompt.save(service.keys.own.absolute() / wanted.name)
        except InputError as error:
            raise Refused(
                422, str(error).replace(str(service.keys.own.absolute()), "the zoo")
            ) from None
        return {"name": wanted.name}


def _class_map(classes: np.ndarray) -> Response:
    height, width = classes.shape
    headers = {"x-height": str(height), "x-width": str(width)}
    return Response(classes.tobytes(), media_type="application/octet-stream", headers=headers)


def _shown(pixels: np.ndarray) -> tuple[bytes, str]:
    """Return what a browser shows: the pixels that examples see, or keys of plain 8-bit images."""
    file = io.BytesIO()
    large = pixels.shape[0] * pixels.shape[1] > LARGE
    image = Image.fromarray(pixels)
    if large:
        image.save(file, "JPEG", quality=92)
    else:
        image.save(file, "PNG", compress_level=1)
    return file.getvalue(), "image/jpeg" if large else "image/png"


def _zipped(studio: Studio, wanted: Download) -> bytes:
    """Return index masks and overlays in one archive, under the images' own names."""
    palette, file, taken = Palette.of(wanted.classes), io.BytesIO(), set()
    with zipfile.ZipFile(file, "w") as archive:
        for number, item in enumerate(wanted.items, 1):
            stem = item.name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
            stem = "".join(c for c in stem if c.isprintable() and c not in '<>:"|?*') or "image"
            stem = stem if stem not in taken and stem.strip(". ") else f"{number}-{stem}"
            taken.add(stem)
            pixels = studio.pixels(item.image)
            classes = studio.store.class_map(item.mask, (pixels.shape[0], pixels.shape[1]))
            classes[classes > len(palette.classes)] = 0
            pictures = {
                "masks": index_image(classes, palette),
                "overlays": overlay(pixels, classes, palette),
            }
            for folder, picture in pictures.items():
                packed = io.BytesIO()
                picture.save(packed, "PNG", compress_level=1)
                archive.writestr(f"{folder}/{stem}.png", packed.getvalue())
    return file.getvalue()
