"""The command `prompttune serve`: keys over HTTP, many on one resident backbone."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompttune.cli.commandline import Parser
from prompttune.utils.errors import InputError
from prompttune.utils.paths import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from prompttune.serve.work import Service

MIN_TOKEN, MAX_TOKEN = 16, 4096
"""Characters of a token: shorter ones are guessed."""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(
        prog="prompttune serve",
        description="Answer over HTTP with the keys of a zoo, many on one resident backbone.",
    )
    add_server_options(parser)
    return parser.parse_args(argv)


def add_server_options(parser: argparse.ArgumentParser, port: int = 8000) -> None:
    """Add what `serve` and `studio` share."""
    add = parser.add_argument
    add(
        "--prompts_zoo", metavar="DIR", type=Path,
        help="folder of keys, searched before the shipped ones (default: your own)",
    )  # fmt: skip
    add(
        "--host", default="127.0.0.1",
        help="address to listen on; others than this machine's own need a token (%(default)s)",
    )  # fmt: skip
    add("--port", type=int, default=port, help="0: any free one (default: %(default)s)")
    add(
        "--token_file", metavar="FILE", type=Path,
        help=f"whose first line, {MIN_TOKEN} characters or more, every request must bear",
    )  # fmt: skip
    group = parser.add_argument_group("limits")
    add = group.add_argument
    add("--max_bytes", type=int, default=64 * 2**20, help="of a request (default: %(default)s)")
    add("--max_pixels", type=int, default=50_000_000, help="of an image (default: %(default)s)")
    add("--queue", type=int, default=64, help="requests at once (default: %(default)s)")
    add("--seconds", type=float, default=120, help="for a request (default: %(default)g)")
    add(
        "--grace", type=float, default=5,
        help="seconds to finish requests in when the server is stopped (default: %(default)g)",
    )  # fmt: skip
    group = parser.add_argument_group("machine")
    add = group.add_argument
    add("--backbone", default=DEFAULT_BACKBONE, help="name or weights file (default: %(default)s)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    add(
        "--batches", default="auto", choices=("auto", "shared", "own"),
        help="whether requests share batches (auto: in fp32 only where this changes no bit)",
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server until it is interrupted; raises `InputError` for bad options."""
    options = parse(argv)
    token = checked_token(options)
    from prompttune.serve.app import create_app

    service = service_of(options)
    app = create_app(service)
    app.state.may_add_keys = token is not None
    serve(app, service, options, token, "prompttune serve")
    return 0


def checked_token(options: argparse.Namespace) -> str | None:
    """Return the token, where there is one, or refuse to listen without one.

    Raises:
        InputError: a token that cannot be used, another address than this machine's without one,
            packages that are not installed.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(f"{error.name} is missing: pip install prompttune[serve]") from None
    from prompttune.serve.asgi import is_loopback

    if options.token_file is None:
        if not is_loopback(options.host):
            raise InputError(
                f"--host {options.host}: others could use this server; give --token_file as well"
            )
        return None
    try:
        with options.token_file.open(encoding="utf-8") as file:
            token = file.readline(MAX_TOKEN).strip()  # of a device lines have no end
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{options.token_file}: cannot be read as text; name a file") from None
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable():
        raise InputError(
            f"{options.token_file}: its first line must be a token of at least {MIN_TOKEN} "
            "ASCII characters; make one: openssl rand -hex 32"
        )
    return token


def service_of(options: argparse.Namespace) -> "Service":
    """Load the backbone and put a service around it."""
    from prompttune.inference.segmenter import Segmenter
    from prompttune.serve.app import make_service
    from prompttune.serve.limits import Limits

    limits = Limits(options.max_bytes, options.max_pixels, options.queue, options.seconds)
    segmenter = Segmenter(options.backbone, options.device, options.precision)
    share = {"auto": None, "shared": True, "own": False}[options.batches]
    return make_service(segmenter, options.prompts_zoo, limits, share)


def serve(
    app: Any, service: "Service", options: argparse.Namespace, token: str | None, prog: str,
    open_paths: Any = None,
) -> None:  # fmt: skip
    """Listen, say where, and answer until interrupted.

    Raises:
        InputError: the address cannot be had.
    """
    import contextlib
    import signal
    import socket

    import uvicorn

    from prompttune.serve.asgi import Gate

    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host.strip("[]"), options.port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(
            f"cannot listen on {options.host}, port {options.port}: {error}; choose another --port"
        ) from None
    extra = {} if open_paths is None else {"open_paths": open_paths}
    gate = Gate(app, service.limits, service.metrics, token, **extra)
    config = uvicorn.Config(
        gate, log_level="warning", timeout_graceful_shutdown=options.grace, access_log=False
    )
    listening.listen(2048)  # who reads the address below may connect at once
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"{prog}: http://{host}:{listening.getsockname()[1]}", flush=True)
    # uvicorn raises a signal again once it has stopped; what the caller cleans up comes after that.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end a server
        uvicorn.Server(config).run(sockets=[listening])
