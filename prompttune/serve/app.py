"""The server's routes. `docs/serve.md` shows how to use them."""

import errno
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import prompttune
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card
from prompttune.keys.files import KEY_FILE
from prompttune.serve.answers import MEDIA
from prompttune.serve.asking import Ask, read_request, sentence
from prompttune.serve.engine import Engine
from prompttune.serve.keys import Keys
from prompttune.serve.limits import Limits, Refused
from prompttune.serve.metrics import Metrics
from prompttune.serve.work import ClientGone, Service, answer
from prompttune.utils.errors import InputError


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str
    """One sentence: what is wrong, and what to do."""


class ListedKey(BaseModel):
    """A key of the zoo."""

    name: str
    task: str | None
    classes: list[str]
    shipped: bool
    fits: bool
    """Whether it was tuned on this server's backbone."""
    problem: str | None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals to OpenAPI."""
    return {status: {"model": Problem} for status in statuses}


KeyName = Annotated[str, Path(description="A key's name.", max_length=64)]
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_IMAGE = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": _IMAGE,
        "example": {"type": "array", "items": _IMAGE, "maxItems": 16},
        "mask": {"type": "array", "items": _IMAGE, "maxItems": 16},
    },
}


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Describe the fields of a model to OpenAPI as parameters of a query."""
    schema = model.model_json_schema()["properties"]
    found = []
    for name, one in schema.items():
        kinds = one.get("anyOf", [])
        plain = next((each for each in kinds if each.get("type") != "null"), one)
        text = plain.pop("description", one.get("description", ""))
        shown = {k: v for k, v in plain.items() if k not in ("title", "description")}
        found.append({"name": name, "in": "query", "description": text, "schema": shown})
    return found


def create_app(service: Service) -> FastAPI:
    """Return the application; its lifespan ends the engine's threads."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.engine.close()

    app = FastAPI(
        title="prompttune",
        version=prompttune.__version__,
        description="Segments images with learned prompts (keys), many on one resident backbone.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    add_errors(app)
    _add_facts(app, service)
    _add_keys(app, service)
    _add_taking_keys(app, service)
    _add_segment(app, service)
    return app


def make_service(
    segmenter: Segmenter,
    prompts_zoo: Any = None,
    limits: Limits | None = None,
    share: bool | None = None,
) -> Service:
    """Put an engine and a zoo around a segmenter, which is used by the engine alone from now on.

    Args:
        segmenter: the resident backbone.
        prompts_zoo: searched before the shipped keys; None: the user's own.
        limits: of requests.
        share: see `Engine`.

    Raises:
        InputError: `prompts_zoo` is not a folder.
    """
    metrics = Metrics()
    keys = Keys(segmenter.network, prompts_zoo)
    engine = Engine(segmenter, metrics, share)
    return Service(segmenter, engine, keys, limits or Limits(), metrics)


def add_errors(app: FastAPI) -> None:
    """Let every refusal be one sentence of JSON."""

    def told(status: int, text: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": text}, status, headers)

    async def on_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return told(error.status, error.sentence, error.headers)

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return told(error.status_code, f"{error.detail}.", error.headers)

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return told(422, sentence(error.errors()))

    async def on_input(_: Request, error: Exception) -> Response:
        return told(422, f"{error}")

    async def on_disk(_: Request, error: Exception) -> Response:
        if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
            raise error
        return told(507, f"The server cannot keep what it needs to answer: {error.strerror}.")

    async def on_gone(_: Request, error: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it; the status is for the metrics

    app.add_exception_handler(Refused, on_refused)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(InputError, on_input)
    app.add_exception_handler(OSError, on_disk)
    app.add_exception_handler(ClientGone, on_gone)
    app.add_exception_handler(ClientDisconnect, on_gone)  # while its body was still to come


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["server"])
    def health() -> dict[str, Any]:
        """Say that the server runs, and on what."""
        segmenter = service.segmenter
        shared = {
            f"{images}x{canvas}": ok
            for (images, canvas, kept), ok in service.engine.shared.items()
            if not kept
        }
        return {
            "status": "ok",
            "version": prompttune.__version__,
            "backbone": segmenter.network.name,
            "fingerprint": segmenter.network.fingerprint,
            "device": str(segmenter.device),
            "precision": "bf16" if segmenter.bf16 else "fp32",
            "shared_batches": shared,
        }

    @app.get("/metrics", tags=["server"], response_class=Response, responses=problems(401))
    def metrics() -> Response:
        """Return counts in Prometheus' text format."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def docs() -> str:
        return (files("prompttune.serve") / "docs.html").read_text(encoding="utf-8")


def _add_keys(app: FastAPI, service: Service) -> None:
    keys = service.keys

    @app.get("/v1/prompts", tags=["keys"], responses=problems(401))
    def list_prompts() -> list[ListedKey]:
        """List the keys that are in the zoo now."""
        return [
            ListedKey(
                name=entry.name,
                task=entry.card.task if entry.card else None,
                classes=[one.name for one in entry.card.classes] if entry.card else [],
                shipped=entry.shipped,
                fits=entry.card is not None
                and entry.card.backbone.fingerprint == service.segmenter.network.fingerprint,
                problem=None if entry.card else "Its file cannot be read.",
            )
            for entry in keys.entries()
        ]

    @app.get("/v1/prompts/{name}", tags=["keys"], responses=problems(401, 404, 409, 422))
    def show_prompt(name: KeyName) -> dict[str, Any]:
        """Return a key's card: classes, scores, what it was tuned on."""
        return keys.get(name)[1].model_dump(mode="json")

    @app.get(
        "/v1/prompts/{name}/preview",
        tags=["keys"],
        response_class=FileResponse,
        responses={200: {"content": {"image/png": {}}}, **problems(401, 404, 422)},
    )
    def preview(name: KeyName) -> Response:
        """Return the picture of a key: its images beside their colors."""
        path = keys.folder(name) / "preview.png"
        if not path.is_file():
            raise Refused(404, f"Key {name!a} has no preview.")
        return FileResponse(path, media_type="image/png")

    @app.get(
        "/v1/prompts/{name}/file",
        tags=["keys"],
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **problems(401, 404, 422)},
    )
    def key_file(name: KeyName) -> Response:
        """Return a key itself, its `prompt.safetensors`."""
        return FileResponse(keys.folder(name) / KEY_FILE, media_type="application/octet-stream")


def _add_taking_keys(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/prompts",
        tags=["keys"],
        status_code=201,
        responses=problems(400, 401, 403, 408, 409, 413, 422, 429, 507),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": _IMAGE}},
            }
        },
    )
    async def add_prompt(
        request: Request,
        overwrite: Annotated[bool, Query(description="Replace a key of this name.")] = False,
    ) -> dict[str, Any]:
        """Add a key, a `prompt.safetensors`, under the name on its card; checked in full first."""
        if not app.state.may_add_keys:
            raise Refused(403, "Keys are taken only where the server runs with --token_file.")
        data = await request.body()
        card: Card = await _threaded(service, lambda: service.keys.add(data, overwrite))
        return card.model_dump(mode="json")

    app.state.may_add_keys = False


async def _threaded(service: Service, work: Any) -> Any:
    import asyncio

    return await asyncio.wrap_future(service.engine.pool.submit(work))


def _add_segment(app: FastAPI, service: Service) -> None:
    content = {media: {"schema": _IMAGE} for media in sorted(set(MEDIA.values()))}
    content["application/json"] = {"schema": {}}

    @app.post(
        "/v1/segment",
        tags=["answers"],
        response_class=Response,
        responses={
            200: {"content": content, "description": "The answer, in the format asked for."},
            **problems(401, 403, 404, 408, 409, 413, 422, 429, 507),
        },
        openapi_extra={
            "parameters": _parameters(Ask),
            "requestBody": {
                "required": True,
                "content": {
                    "application/octet-stream": {"schema": _IMAGE},
                    "multipart/form-data": {"schema": _FORM},
                },
            },
        },
    )
    async def segment(request: Request) -> Response:
        """Segment an image with a key, or with examples and their masks.

        The image is the body, or the form's field `image`; examples are its fields `example`, and
        their masks, in the same order, its fields `mask`. Where the key tells how good its answer
        is, the headers `x-prompttune-expected-dice`, `-confidence` and `-in-domain` say it.
        """
        began = time.perf_counter()
        asked = await read_request(request, service.limits)
        done = await answer(service, asked, request.receive)
        total = time.perf_counter() - began
        scales = ["whole" if scale is None else scale for scale in done.scales]
        headers = {
            "server-timing": f"network;dur={1000 * done.network:.1f}, total;dur={1000 * total:.1f}",
            "x-prompttune-classes": quote(json.dumps(done.classes)),
            "x-prompttune-scales": json.dumps(scales),
            **done.trust.headers(),
        }
        return Response(done.body, media_type=MEDIA[asked.ask.format], headers=headers)
