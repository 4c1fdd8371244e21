"""The arguments of a conversion, and groups of them that subcommands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from ..errors import EXIT_USAGE
from ..storage.remote import to_path
from ..version import __version__

_DESCRIPTION = "Turn PDFs and images into clean Markdown and JSON with MinerU's models."

_EPILOG = """\
commands:
  mineru-accel [convert] PATHS... -o OUT   convert documents (the default)
  mineru-accel ui                          the same in a browser
  mineru-accel doctor                      what this machine can run, and what 'auto' would pick
  mineru-accel models list|path|verify|download
  mineru-accel tune                        tune the GPU kernels for this GPU
  mineru-accel bench pipeline|quality|...   measure, beside other systems
  (each takes --help)

examples:
  mineru-accel paper.pdf -o out
  mineru-accel reports/ scans/*.png -o out --pages 1-3,r1 --formats md,html
  mineru-accel -p book.pdf -o out -m ocr -l ch
  mineru-accel --jobs-from list.txt -o out --progress json

exit codes: 0 all converted, 1 some document or page failed, 2 usage, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Usage errors are one line, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (try '{self.prog} --help')\n")


def convert_parser() -> argparse.ArgumentParser:
    """The arguments of a conversion, grouped as ``--help`` shows them."""
    parser = Parser(
        prog="mineru-accel",
        usage="mineru-accel [convert] PATHS... -o OUT [options]\n       mineru-accel ui|doctor|models|tune|bench ...",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mineru-accel {__version__}")
    _add_files(parser)
    _add_pages(parser)
    _add_method(parser)
    add_vlm(parser)
    add_machine(parser)
    _add_limits(parser)
    _add_cluster(parser)
    _add_display(parser)
    return parser


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Inputs and outputs."""
    group = parser.add_argument_group("input and output")
    group.add_argument("paths", nargs="*", metavar="PATHS", help="PDFs, images, folders or globs")
    group.add_argument("-p", "--path", action="append", default=[], metavar="PATH", help="the same, as MinerU has it")
    group.add_argument("--jobs-from", type=Path, metavar="FILE", help="read paths from a file, one a line (- is stdin)")
    group.add_argument(
        "--watch", type=Path, metavar="FOLDER", help="convert what is there and what arrives, until Ctrl-C"
    )
    group.add_argument("-o", "--output", type=to_path, default="output", metavar="OUT", help="default: %(default)s")
    group.add_argument("--overwrite", action="store_true", help="replace results that are there; default: skip them")
    group.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        help="go on where a killed run stopped, page by page; default: for documents found in folders",
    )
    group.add_argument(
        "--formats",
        metavar="LIST",
        help="of md, content_list, content_list_v2, middle, model, html, docx, latex, epub, layout_pdf, with commas; "
        "default: all but html, docx, latex, epub",
    )
    group.add_argument("--images", choices=["file", "embed", "none"], help="pictures: beside the Markdown, in it, none")
    group.add_argument("--password", metavar="PW", help="of encrypted PDFs")


def _add_pages(parser: argparse.ArgumentParser) -> None:
    """The pages to convert."""
    group = parser.add_argument_group("pages")
    group.add_argument("--pages", metavar="RANGE", help="1-based: '1-5,8,r3-r1' (r counts from the end)")
    group.add_argument("-s", "--start", type=int, metavar="N", help="first page, 0-based")
    group.add_argument("-e", "--end", type=int, metavar="N", help="last page, 0-based, inclusive")
    group.add_argument("--max-pages", type=int, metavar="N", help="of each document, the first of those chosen")


def _add_method(parser: argparse.ArgumentParser) -> None:
    """The back end and its models."""
    group = parser.add_argument_group("how to convert")
    group.add_argument(
        "-b", "--backend", metavar="NAME", help="auto, pipeline, hybrid or vlm (MinerU's names work too); default: auto"
    )
    group.add_argument("-m", "--method", choices=["auto", "txt", "ocr"], help="source of text; auto: page by page")
    group.add_argument("-l", "--lang", metavar="LANG", help="language of scans: one model reads some fifty")
    group.add_argument("--layout", choices=["auto", "doclayout-yolo", "vlm", "native"], help="what finds the regions")
    group.add_argument("--layout-weights", type=Path, metavar="FILE", help="DocLayout-YOLO's, .pt or .safetensors")
    group.add_argument("--imgsz", type=int, metavar="N", help="long side of the layout model's input in pixels")
    group.add_argument("--dpi", type=int, metavar="N", help="of cropped pictures and of OCR; default: 200")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """When to give up."""
    group = parser.add_argument_group("limits")
    group.add_argument("--document-timeout", type=float, metavar="S", help="seconds a document may take; default: any")
    group.add_argument("--worker-memory", type=int, metavar="MB", help="memory of a worker; default: 1024 to 4096")
    group.add_argument("--max-failed-pages", type=int, metavar="N", help="give up when more pages have failed")
    group.add_argument("--fail-fast", action="store_true", default=None, help="give up at the first failure")


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """This machine or a Ray cluster."""
    group = parser.add_argument_group("cluster")
    group.add_argument("--executor", choices=["local", "ray"], help="where to run; ray: on a cluster, also s3:// etc.")
    group.add_argument(
        "--ray-address", metavar="ADDR", help="auto, HOST:PORT or local (its own); default: what is there"
    )
    group.add_argument("--ray-actors", type=int, metavar="N", help="actors that convert pages; default: what fits")
    group.add_argument("--ray-gpus", type=float, metavar="X", help="GPUs of such an actor, also fractions")
    group.add_argument("--cluster", metavar="NxC+G", help="with --dry-run: estimate N nodes of C CPUs and G GPUs")
    group.add_argument("--part-pages", type=int, metavar="N", help="pages that an actor takes at once; default: 16")


def _add_display(parser: argparse.ArgumentParser) -> None:
    """Progress and logs."""
    group = parser.add_argument_group("what to show")
    group.add_argument(
        "--progress",
        choices=["auto", "rich", "plain", "json", "none"],
        default="auto",
        help="auto: bars on a terminal, else lines; json: events on standard output",
    )
    group.add_argument("--dry-run", action="store_true", help="count pages and estimate the time; convert nothing")
    group.add_argument("--summary", type=Path, metavar="FILE", help="write the run's summary there, as JSON")
    group.add_argument("--profile", type=Path, metavar="FILE", help="write a trace of the run, for ui.perfetto.dev")
    group.add_argument("-q", "--quiet", action="store_true", help="only errors")
    group.add_argument("-v", "--verbose", action="count", default=0, help="more; twice: debug")
    group.add_argument("--log-level", choices=["error", "warning", "info", "debug"], help="the same by name")


def add_vlm(parser: argparse.ArgumentParser) -> None:
    """The arguments about the VLM, which the page takes, too."""
    group = parser.add_argument_group("the VLM (vlm and hybrid)")
    group.add_argument("--engine", choices=["auto", "vllm", "http", "transformers"], help="what runs it")
    group.add_argument(
        *("-u", "--url"), dest="urls", action="append", metavar="URL", help="a server of it; several share the work"
    )
    group.add_argument("--vlm", metavar="NAME", help="its name, or a folder with a checkpoint")
    group.add_argument("--vlm-for", metavar="LIST", help="hybrid: what it reads: title,text,caption,table,equation,...")
    group.add_argument("--describe-images", action="store_true", default=None, help="describe pictures, read charts")
    group.add_argument(
        "--vllm-arg", dest="vllm_args", action="append", metavar="K=V", help="an argument of vLLM's engine; repeatable"
    )
    group.add_argument(
        "--vlm-replicas", type=int, metavar="N", help="engines of vLLM a GPU; default: 1, or 2 where it is large"
    )
    group.add_argument("--timeout", type=float, metavar="S", help="seconds a request may take; default: 300")


def add_machine(parser: argparse.ArgumentParser) -> None:
    """The arguments about the machine, which the page takes, too."""
    group = parser.add_argument_group("machine")
    group.add_argument("--device", metavar="DEV", help="auto, cpu or cuda[:n]")
    group.add_argument("--workers", type=int, metavar="N", help="worker processes; default: one per core, at most 32")
    group.add_argument("--page-timeout", type=float, metavar="S", help="seconds a page may take; default: 120")
    group.add_argument("--offline", action="store_true", default=None, help="never use the network")
