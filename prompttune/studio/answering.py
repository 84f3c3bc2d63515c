"""Answers for the page: a class map, how sure it is, how far it has come; and all masks as ZIP."""

import asyncio
import io
import zipfile
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response

from prompttune.inference.result import Result
from prompttune.outputs.drawing import index_image, overlay
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.serve.answers import Trust
from prompttune.serve.engine import Job
from prompttune.serve.limits import Refused
from prompttune.serve.work import Jobs, Service, apart, while_wanted
from prompttune.studio.examples import Examples
from prompttune.studio.tunings import Tunings
from prompttune.studio.wanted import Download, Wanted
from prompttune.utils.contact_sheet import encode_png


def add_answers(app: FastAPI, service: Service, examples: Examples, tunings: Tunings) -> None:
    """Add the routes that answer images; what a page gives up is not computed on."""
    under_way: dict[str, Job] = {}

    async def prompt_for(wanted: Wanted) -> Prompt | Composition:
        if wanted.kind == "tuned":
            return await apart(service, tunings.get(wanted.tuning or "").prompt)
        if wanted.kind == "key":
            return (await apart(service, lambda: service.keys.get(wanted.key or "")))[0]
        shown = wanted.examples[:1] if wanted.kind == "one-shot" else wanted.examples
        if not shown:
            raise Refused(422, "Paint a class on an image first.")
        return await examples.prompt(shown, wanted.classes)

    async def worked(wanted: Wanted, jobs: Jobs) -> Response:
        prompt = await prompt_for(wanted)
        pixels = await apart(service, lambda: examples.pixels(wanted.image, prompt))
        job = service.engine.submit(pixels, prompt)
        jobs.all.append(job)
        if wanted.ask is not None:
            under_way[wanted.ask] = job
        try:
            result = await asyncio.wrap_future(job.done)
        finally:
            under_way.pop(wanted.ask or "", None)
        return await apart(service, lambda: _told(result))

    @app.post("/studio/answers", include_in_schema=False)
    async def answers(wanted: Wanted, request: Request) -> Response:
        return await while_wanted(service, lambda jobs: worked(wanted, jobs), request.receive)

    @app.get("/studio/answers/{ask}", include_in_schema=False)
    async def how_far(ask: str) -> dict[str, Any]:
        job = under_way.get(ask)
        return {"share": 0.0 if job is None else round(job.share, 3)}


def _told(result: Result) -> Response:
    """Send the class map, then, where it is known, how sure each pixel is, 0 to 255."""
    body = result.classes.tobytes()
    if result.confidence is not None:
        body += np.rint(result.confidence * 255).astype(np.uint8).tobytes()
    height, width = result.classes.shape
    headers = {"x-height": str(height), "x-width": str(width), **Trust.of(result).headers()}
    return Response(body, media_type="application/octet-stream", headers=headers)


def zipped(examples: Examples, wanted: Download) -> bytes:
    """Return the archive: `masks/NAME.png` with class indices, and `overlays/NAME.png`."""
    palette, file, taken = Palette.of(wanted.classes), io.BytesIO(), set()
    with zipfile.ZipFile(file, "w") as archive:
        for number, item in enumerate(wanted.items, 1):
            stem = plain_stem(item.name)
            stem = stem if stem not in taken and stem.strip(". ") else f"{number}-{stem}"
            taken.add(stem)
            pixels = examples.pixels(item.image)
            size = pixels.shape[0], pixels.shape[1]
            classes = examples.store.class_map(item.mask, size)
            classes[classes > len(palette.classes)] = 0
            pictures = {
                "masks": index_image(classes, palette),
                "overlays": overlay(pixels, classes, palette),
            }
            for folder, picture in pictures.items():
                archive.writestr(f"{folder}/{stem}.png", encode_png(picture, level=1))
    return file.getvalue()


def plain_stem(name: str) -> str:
    """Return a file's name without folders, suffix and characters that systems refuse."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return "".join(c for c in stem if c.isprintable() and c not in '<>:"|?*') or "image"
