"""``mineru-accel ui``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loguru import logger

from ..errors import EXIT_OK, UsageError
from ..ui.server import Server, serve_until_stopped
from ..ui.settings import Settings
from .arguments import Parser, add_machine, add_vlm
from .convert import make_options


def run(argv: list[str]) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        UsageError: if the arguments make no sense.
        AccelError: if it can't be served.
    """
    args = parser().parse_args(argv)
    logger.remove()
    logger.add(sys.stderr, level="DEBUG" if args.verbose else "WARNING", format="{level: <7} {message}", diagnose=False)
    settings = Settings(
        options=make_options(args),
        server_name=args.server_name,
        server_port=args.server_port,
        share=args.share,
        auth=tuple(pair for given in args.auth for pair in _accounts(given)),
        output_dir=args.output_dir,
        max_files=args.max_files,
        max_file_mb=args.max_file_mb,
        queue_size=args.queue_size,
        keep_minutes=args.keep_minutes,
        examples=args.enable_example,
        preload=args.preload,
    )
    if settings.share and not settings.auth:
        print("mineru-accel: --share without --auth: anybody who learns the address can use it", file=sys.stderr)
    with Server(settings) as server:
        print(f"mineru-accel: {server.start()} (Ctrl-C ends it)", flush=True)
        serve_until_stopped(server)
    return EXIT_OK


def parser() -> argparse.ArgumentParser:
    """The arguments, with MinerU's names where it has them."""
    top = Parser(
        prog="mineru-accel ui",
        description="Convert documents in a browser: a page for you, or for several people at once.",
        allow_abbrev=False,
    )
    on_off = argparse.BooleanOptionalAction
    group = top.add_argument_group("where it is served")
    group.add_argument(
        "--server-name", default="127.0.0.1", metavar="HOST", help="0.0.0.0 to be reached from elsewhere"
    )
    group.add_argument("--server-port", type=int, metavar="PORT", help="default: the first free one from 7860")
    group.add_argument("--share", action=on_off, default=False, help="a public address through Gradio's servers")
    group.add_argument("--auth", action="append", default=[], metavar="USER:PW", help="or @FILE; may be repeated")

    group = top.add_argument_group("what its users may do")
    group.add_argument(
        "--max-pages", type=_positive, default=1000, metavar="N", help="converted of a document; default: 1000"
    )
    group.add_argument("--max-files", type=_positive, default=100, metavar="N", help="of a conversion; default: 100")
    group.add_argument(
        "--max-file-mb", type=_positive, default=200, metavar="MB", help="of an uploaded file; default: 200"
    )
    group.add_argument(
        "--queue-size", type=_positive, default=64, metavar="N", help="conversions under way or waiting; default: 64"
    )
    group.add_argument(
        "--keep-minutes", type=_minutes, default=60, metavar="MIN", help="then a user's files are deleted; default: 60"
    )
    group.add_argument("--output-dir", type=Path, metavar="DIR", help="where they lie until then; default: /tmp")
    group.add_argument("--enable-example", action=on_off, default=True, help="offer samples, where they are")

    group = top.add_argument_group("how to convert")
    group.add_argument("-b", "--backend", metavar="NAME", help="what 'auto' is for them: pipeline, hybrid or vlm")
    group.add_argument("--layout", choices=["auto", "doclayout-yolo", "vlm", "native"], help="what finds the regions")
    group.add_argument("--layout-weights", type=Path, metavar="FILE", help="DocLayout-YOLO's, .pt or .safetensors")
    group.add_argument("--imgsz", type=int, metavar="N", help="long side of the layout model's input in pixels")
    group.add_argument("--preload", action="store_true", help="load models now instead of on first use")
    add_vlm(top)
    add_machine(top)
    top.add_argument("-v", "--verbose", action="store_true", help="say more")
    return top


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError
    return number


def _accounts(given: str) -> list[tuple[str, str]]:
    """``USER:PASSWORD``, or ``@FILE`` with one a line."""
    if given.startswith("@"):
        try:
            lines = Path(given[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--auth {given}: {getattr(error, 'strerror', None) or error}") from error
    else:
        lines = [given]
    pairs = [line.partition(":") for line in lines if line.strip()]
    if not pairs or not all(user and password for user, _, password in pairs):
        raise UsageError("--auth: give USER:PASSWORD, or @FILE with one a line")
    return [(user, password) for user, _, password in pairs]
