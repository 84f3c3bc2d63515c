"""The command `prompttune studio`: a page on this machine to label, tune, see and apply."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from prompttune.cli.commandline import Parser
from prompttune.cli.serve import add_server_options, checked_token, serve, service_of
from prompttune.utils.errors import InputError


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(
        prog="prompttune studio",
        description="Open a page to label some images, tune a key on them, and apply it.",
    )
    add_server_options(parser, port=8001)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; raises `InputError` for bad options."""
    from tempfile import TemporaryDirectory

    options = parse(argv)
    checked_token(options)
    from prompttune.serve.asgi import is_loopback

    if options.token_file is not None or not is_loopback(options.host):
        raise InputError("the page is for this machine alone: leave out --host and --token_file")
    from prompttune.serve.app import create_app
    from prompttune.studio.app import Studio, add_studio
    from prompttune.studio.examples import Store
    from prompttune.studio.tunings import Tunings

    service = service_of(options)
    app = create_app(service)
    with TemporaryDirectory(prefix="prompttune-studio-") as folder:
        tunings = Tunings(Path(folder), str(options.backbone), service.segmenter.device.type)
        add_studio(app, Studio(service, Store(Path(folder)), tunings))
        try:
            serve(app, service, options, None, "prompttune studio")
        finally:
            tunings.close()
    return 0
