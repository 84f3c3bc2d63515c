"""One request from its bytes to the bytes of its answer."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prompttune.inference.result import Result
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.serve.answers import Trust, encoded
from prompttune.serve.asgi import Receive, client_gone
from prompttune.serve.asking import Asked
from prompttune.serve.engine import Engine, Job
from prompttune.serve.images import place_on_earth, read_mask, read_pixels
from prompttune.serve.keys import Keys
from prompttune.serve.limits import Limits, Refused
from prompttune.serve.metrics import Metrics
from prompttune.utils.errors import InputError

T = TypeVar("T")


class ClientGone(Exception):
    """The client of a request has gone; nothing is to be sent."""


@dataclass(frozen=True)
class Service:
    """What all requests share."""

    segmenter: Segmenter
    engine: Engine
    keys: Keys
    limits: Limits
    metrics: Metrics


@dataclass
class Done:
    """The bytes of an answer, and the seconds that the network computed for it."""

    body: bytes
    network: float
    classes: tuple[str, ...]
    scales: tuple[float | None, ...]
    trust: Trust


@dataclass
class Jobs:
    """The images of one request that the engine has taken."""

    all: list[Job] = field(default_factory=list)


async def answer(service: Service, asked: Asked, receive: Receive) -> Done:
    """Answer a request, unless its client goes or its time is over: then its work is dropped.

    Raises:
        Refused: 408, its time is over, or as reading its images and its key does.
        ClientGone: nobody waits any more.
    """
    seconds = service.limits.seconds
    return await while_wanted(service, lambda jobs: _worked(service, asked, jobs), receive, seconds)


async def while_wanted(
    service: Service,
    begin: Callable[[Jobs], Coroutine[Any, Any, T]],
    receive: Receive,
    seconds: float | None = None,
) -> T:
    """Work for a client as long as it is there; when it goes, its jobs are cancelled.

    Args:
        service: counts clients that go.
        begin: starts the work, and puts what the engine takes into the jobs that it is given.
        receive: of the request, whose body has been read.
        seconds: that the work may take; None: no limit.

    Raises:
        Refused: 408, its time is over.
        ClientGone: nobody waits any more.
    """
    jobs = Jobs()
    work = asyncio.create_task(begin(jobs))
    gone = asyncio.create_task(client_gone(receive))
    try:
        await asyncio.wait((work, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            service.metrics.saw_client_go()
            raise ClientGone
        raise Refused(408, f"No answer within {seconds:g} s; send a smaller image.")
    finally:
        for job in jobs.all:
            if not job.done.done():
                service.engine.cancel(job)
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _worked(service: Service, asked: Asked, jobs: Jobs) -> Done:
    ask, limits = asked.ask, service.limits
    if ask.prompt is not None:
        prompt = (await apart(service, lambda: service.keys.get(str(ask.prompt))))[0]
    else:
        made = await apart(service, lambda: from_examples(service, asked))
        prompt = await scaled(service.engine, made)
    image = await apart(service, lambda: read_pixels(asked.image, "image", limits, prompt))
    job = service.engine.submit(image, prompt, ask.overlap, ask.flips)
    jobs.all.append(job)
    result = await asyncio.wrap_future(job.done)

    def encode(result: Result) -> tuple[bytes, Trust]:
        place = place_on_earth(asked.image) if ask.format == "geojson" else None
        return encoded(result, ask.format, place), Trust.of(result)

    body, trust = await apart(service, lambda: encode(result))
    return Done(body, job.network_seconds, result.palette.classes, result.scales, trust)


def from_examples(service: Service, asked: Asked) -> Prompt:
    """Make a prompt of a request's examples.

    Raises:
        Refused: 422, images or masks that cannot be used together.
    """
    names, limits = asked.ask.names(), service.limits
    pairs = [
        (read_pixels(image, f"example {n}", limits), mask)
        for n, (image, mask) in enumerate(asked.examples, 1)
    ]
    for number, (_, mask) in enumerate(pairs, 1):
        read_mask(mask, f"mask {number}", names, limits)
    try:
        canvas = service.segmenter.canvas(None)
        return Prompt.from_examples(pairs, names, asked.ask.scale_of_examples(), canvas)
    except InputError as error:
        raise Refused(422, f"{error}.") from None


async def scaled(engine: Engine, prompt: Prompt | Composition) -> Prompt | Composition:
    """Choose the scale of examples that have none, on the network's thread."""
    return await asyncio.wrap_future(engine.call(lambda: engine.segmenter.scaled(prompt)))


async def apart(service: Service, work: Callable[[], T]) -> T:
    """Run something slow that needs no network beside the event loop."""
    return await asyncio.wrap_future(service.engine.pool.submit(work))
