"""What a request asks for: its parameters and files, out of a query, a form or a bare body."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from prompttune.data.class_names import class_names
from prompttune.serve.limits import Limits, Refused
from prompttune.utils.bounds import AnyScale
from prompttune.utils.errors import InputError


class Ask(BaseModel):
    """The parameters of `POST /v1/segment`; in the query, or fields of the form."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(description="A key's name.", max_length=64)] | None = None
    format: Annotated[
        Literal["png", "rle", "coco", "geojson", "npz"], Field(description="Of the answer.")
    ] = "png"
    overlap: Annotated[
        float, Field(ge=0, le=0.75, description="Share of a window that its neighbor covers too.")
    ] = 0.25
    flips: Annotated[
        bool, Field(description="Take the mean over four mirrored answers; four times the work.")
    ] = False
    classes: (
        Annotated[str, Field(description="Of examples: the names of the mask's classes, `a,b`.")]
        | None
    ) = None
    scale: Annotated[
        str,
        Field(
            pattern=r"^(auto|whole|\d{1,3}(\.\d{1,6})?)$",
            description="Of examples: canvas pixels an image pixel, `auto` or `whole`.",
        ),
    ] = "auto"  # fmt: skip

    def scale_of_examples(self) -> AnyScale:
        """Return the scale as `Prompt.from_examples` takes it."""
        if self.scale == "auto" or self.scale == "whole":
            return self.scale  # type: ignore[return-value]
        return float(self.scale)

    def names(self) -> tuple[str, ...] | None:
        """Return the classes of examples, where they are named."""
        if self.classes is None:
            return None
        try:
            return class_names(self.classes.split(","))
        except InputError as error:
            raise Refused(422, f"classes: {error}.") from None


@dataclass(frozen=True)
class Asked:
    """A request that has been read: parameters, the image, examples and their masks, as bytes."""

    ask: Ask
    image: bytes
    examples: tuple[tuple[bytes, bytes], ...] = ()


FILES = ("image", "example", "mask")


async def read_request(request: Request, limits: Limits) -> Asked:
    """Read a request in time.

    Raises:
        Refused: 408, it came too slowly; 422, parts are missing, or parameters make no sense.
    """
    try:
        async with asyncio.timeout(limits.seconds):
            return await _read(request, limits)
    except TimeoutError:
        raise Refused(408, f"The request did not arrive within {limits.seconds:g} s.") from None


async def _read(request: Request, limits: Limits) -> Asked:
    given: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        _add(given, name, text)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "multipart/form-data":
        ask = _checked(given)
        return _complete(ask, {"image": [await request.body()]}, limits)
    files: dict[str, list[bytes]] = {}
    try:
        async with request.form(max_files=2 * limits.examples + 1, max_fields=32) as form:
            for name, value in form.multi_items():
                if name in FILES:
                    data = await value.read() if isinstance(value, UploadFile) else value.encode()
                    files.setdefault(name, []).append(data)
                elif isinstance(value, UploadFile):
                    raise Refused(422, f"{name[:80]!a} is no file that is asked for here.")
                else:
                    _add(given, name, value)
    except Refused:
        raise
    except Exception as error:  # Starlette's HTTPException, or python-multipart's own
        text = getattr(error, "detail", None) or "it cannot be parsed"
        raise Refused(422, f"The form is broken: {text}") from None
    return _complete(_checked(given), files, limits)


def _add(given: dict[str, Any], name: str, value: str) -> None:
    if name in given:
        raise Refused(422, f"{name[:80]!a} is given twice.")
    given[name] = value


def _checked(given: dict[str, Any]) -> Ask:
    try:
        return Ask.model_validate(given)
    except ValidationError as error:
        raise Refused(422, sentence(error.errors())) from None


def _complete(ask: Ask, files: dict[str, list[bytes]], limits: Limits) -> Asked:
    images, examples, masks = (files.get(name, []) for name in FILES)
    if len(images) != 1 or not images[0]:
        raise Refused(422, "Send one image, as the body or as the form's field 'image'.")
    if len(examples) != len(masks):
        raise Refused(422, f"{len(examples)} examples and {len(masks)} masks; send one of each.")
    if len(examples) > limits.examples:
        raise Refused(422, f"{len(examples)} examples; at most {limits.examples} are taken here.")
    if (ask.prompt is None) == (not examples):
        raise Refused(422, "Give prompt=NAME, or examples with masks: one of the two.")
    if ask.prompt is not None and (ask.classes is not None or ask.scale != "auto"):
        raise Refused(422, "classes and scale go with examples; a key brings its own.")
    return Asked(ask, images[0], tuple(zip(examples, masks, strict=True)))


def sentence(errors: Any) -> str:
    """Say in one sentence what is wrong with the first wrong parameter."""
    first = errors[0]
    place = ".".join(str(step) for step in first["loc"] if step not in ("query", "body", "path"))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place or 'request'}: {message[:1].lower()}{message[1:]}."
