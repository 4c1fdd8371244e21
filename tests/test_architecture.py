"""Imports point one way, between folders and between files, and third-party packages stay where they belong."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from common import ROOT

PACKAGE = ROOT / "mineru_accel"
KERNELS = ROOT / "kernels" / "accel_kernels"

PUBLIC = {"__init__", "__main__", "document", "errors", "events", "options", "page_range", "pipeline", "version"}
"""Files in the package's root: what users of the API import, and nothing else."""

LAYERS = (
    {"version", "errors", "page_range"},
    {"document", "options"},
    {"hardware", "storage", "workers"},
    {"events", "models"},
    {"pdf", "layout"},
    {"export", "patches"},
    {"vlm"},
    {"reading"},
    {"conversion"},
    {"distributed"},
    {"pipeline"},
    {"__init__"},
    {"ui", "bench"},
    {"cli"},
    {"__main__"},
)
"""Folders and root files, from the bottom up: each imports from layers below its own only. Imports inside functions and
for type checkers count, too."""

OWNERS = {
    "pypdfium2": ("pdf/", "bench/"),
    "docvortex": ("pdf/", "export/", "bench/"),
    "pypdf": ("export/inactive_pdf.py",),
    "rapidocr": ("pdf/ocr.py",),
    "mineru": ("export/", "bench/vlm/"),
    "mineru_vl_utils": ("vlm/", "patches/mineru_vl_utils/", "bench/vlm/"),
    "vllm": ("vlm/vllm_host/", "vlm/engines/vllm.py", "patches/vllm/", "bench/vlm/"),
    "doclayout_yolo": ("patches/doclayout_yolo/", "bench/layout/"),
    "ray": ("distributed/",),
    "gradio": ("ui/",),
}
"""Packages whose API is followed in one place each, beside benchmarks that compare with them."""


def _modules() -> dict[str, Path]:
    """Files of the package by dotted name without ``mineru_accel.``; packages by their folder's name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


MODULES = _modules()


def _imports(name: str) -> Iterator[str]:
    """Absolute dotted names of what a module imports; modules of this package start with ``mineru_accel``."""
    return _imports_of_file(MODULES[name], PACKAGE)


def _imports_of_file(path: Path, root: Path) -> Iterator[str]:
    """The same of a file in a package with this folder."""
    package = [root.name, *path.relative_to(root).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _own(name: str) -> set[str]:
    """Modules of this package that a module imports."""
    found = set()
    for imported in _imports(name):
        head, _, rest = imported.partition(".")
        if head == "mineru_accel":
            parent = rest.rpartition(".")[0]
            found.add(rest if rest in MODULES else parent if parent in MODULES else "__init__")
    return found - {name}


def _layer(name: str) -> int:
    folder = name.partition(".")[0]
    return next(n for n, layer in enumerate(LAYERS) if folder in layer)


def test_folders_import_from_below_only() -> None:
    wrong = [
        f"{name} -> {other}"
        for name in MODULES
        for other in _own(name)
        if name.partition(".")[0] != other.partition(".")[0] and _layer(other) >= _layer(name)
    ]
    assert not wrong, sorted(wrong)


def test_files_import_in_no_circle() -> None:
    graph = {name: _own(name) for name in MODULES}
    reach: dict[str, set[str]] = defaultdict(set)
    for start in graph:
        waiting = [start]
        while waiting:
            for other in graph[waiting.pop()] - reach[start]:
                reach[start].add(other)
                waiting.append(other)
    assert not sorted(name for name in graph if name in reach[name])


@pytest.mark.parametrize("package", OWNERS)
def test_third_parties_are_touched_in_one_place(package: str) -> None:
    touching = {
        str(MODULES[name].relative_to(PACKAGE))
        for name in MODULES
        for imported in _imports(name)
        if imported.partition(".")[0] == package
    }
    assert touching, f"nothing imports {package}: leave it out of OWNERS"
    assert not sorted(path for path in touching if not path.startswith(OWNERS[package]))


def test_kernels_know_nothing_of_this_package() -> None:
    files = sorted(KERNELS.rglob("*.py"))
    assert files
    wrong = [
        f"{path.name} -> {imported}"
        for path in files
        for imported in _imports_of_file(path, KERNELS)
        if imported.partition(".")[0] == "mineru_accel"
    ]
    assert not wrong


def test_root_holds_the_public_files_only() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == PUBLIC
