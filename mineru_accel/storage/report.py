"""The report of a result, ``OUT/{name}/{name}_report.json``, which also marks its folder as ours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .clean_text import clean, dump


def report_path(output: Path, name: str) -> Path:
    """Its path."""
    return output / name / f"{name}_report.json"


def read_report(output: Path, name: str) -> dict[str, Any] | None:
    """The report of a result, None where there is none."""
    try:
        report = json.loads(report_path(output, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def write_report(staging: Path, name: str, report: dict[str, Any], pages: Iterable[dict[str, Any]]) -> Path:
    """Write the report of a document that is being made, page by page.

    Args:
        staging: The folder where it is made.
        name: The document's name in OUT.
        report: Fields before those of the pages.
        pages: Its ``page_results``.

    Raises:
        OutputError: if it can't be written.
    """
    path = staging / f"{name}_report.json"
    before = dump(report, indent=2).removesuffix("\n}")
    source = str(report.get("source"))
    if clean(source) != source:  # a file's name is compared with it: kept, but escaped
        before = before.replace(dump(source), json.dumps(source), 1)
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(f'{before},\n  "page_results": [')
            for number, page in enumerate(pages):
                text = dump(page, indent=2).replace("\n", "\n    ")
                file.write(f"{',' if number else ''}\n    {text}")
            file.write("\n  ]\n}")
    except OSError as error:
        raise OutputError(f"can't write the report: {error.strerror or error}") from error
    return path
