"""The command ``mineru-accel``: arguments in, exit code out. Imports nothing heavy, so that ``--help`` is instant."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..errors import EXIT_FAILED, EXIT_INTERRUPTED, AccelError, UsageError
from .arguments import Parser, convert_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code, see :mod:`mineru_accel.errors`.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(args)
    except AccelError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone
        sys.stderr.close()
        return EXIT_FAILED


def _say(line: str) -> None:
    print(f"mineru-accel: {line}", file=sys.stderr)


def _dispatch(args: list[str]) -> int:
    command = args[0] if args else ""
    if command in ("tune", "bench", "ui"):
        try:
            return _pass_on(command, args[1:])
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "triton"):
                raise
            raise UsageError(f"{command} needs {error.name}: pip install 'mineru-accel[torch]'") from error
    if command == "doctor":
        parser = Parser(prog="mineru-accel doctor", description="Show what this machine can run.")
        parser.add_argument("--json", action="store_true", help="as JSON")
        options = parser.parse_args(args[1:])
        from . import doctor

        return doctor.run(as_json=options.json)
    if command == "models":
        return _models(args[1:])
    parsed = convert_parser().parse_args(args[1:] if command == "convert" else args)
    if not parsed.dry_run and parsed.executor != "ray" and parsed.verbose < 2 and parsed.log_level != "debug":
        from ..conversion.preload import EVERY_WORKER
        from ..workers.spawn import start_early

        start_early(EVERY_WORKER)
    from . import convert

    return convert.run(parsed)


def _pass_on(command: str, args: list[str]) -> int:
    """Run a subcommand that parses its own arguments."""
    if command == "tune":
        from .tune import run
    elif command == "bench":
        from ..bench import run
    else:
        from .ui import run
    return run(args)


def _models(args: list[str]) -> int:
    parser = Parser(prog="mineru-accel models", description="Find, verify and download models.")
    actions = parser.add_subparsers(dest="action", required=True, parser_class=Parser)
    actions.add_parser("list", help="every model, where it was looked for and what was found")
    path = actions.add_parser("path", help="the path of a model in use")
    check = actions.add_parser("verify", help="see whether the files are whole, and their SHA-256 as known")
    download = actions.add_parser("download", help="fetch a model, going on where an earlier attempt ended")
    for action in (path, check, download):
        action.add_argument("model", nargs="?", choices=["layout", "vlm"], help="default: layout; verify: all")
    download.add_argument("--source", choices=["auto", "huggingface", "modelscope"], help="where from")
    options = parser.parse_args(args)
    from . import models

    return models.run(options.action, getattr(options, "model", None), getattr(options, "source", None))


if __name__ == "__main__":
    sys.exit(main())
