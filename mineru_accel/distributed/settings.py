"""The settings of a run that every actor gets, and helpers that all actors share."""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loguru import logger

from ..conversion.plan import Plan
from ..conversion.report import pages_of
from ..document import DocumentResult
from ..errors import AccelError, ModelError, OutputError, internal_error
from ..options import Options
from ..storage import remote
from ..storage.digest import file_sha256
from ..storage.inputs import Input
from ..storage.output_folder import check_output
from ..storage.report import report_path
from ..storage.work_folder import WorkFolder
from .messages import InputTask


@dataclass(frozen=True)
class Settings:
    """The settings of a run."""

    options: Options
    plan: Plan
    weights_sha256: str | None
    """SHA-256 of the weights of the layout model on the driver's machine; None without one."""
    output: Path
    part_pages: int

    def plan_here(self) -> Plan:
        """The driver's plan, with the models as they lie on this machine.

        Raises:
            ModelError: if they are not there, or others.
        """
        return replace(self.plan, weights=self._weights_here(), vlm=self._vlm_here())

    def _weights_here(self) -> Path | None:
        if self.plan.weights is None:
            return None
        from ..models.layout_weights import find_layout_weights

        paths = [self.plan.weights]
        if (found := find_layout_weights(None)) is not None:
            paths.append(found.path)
        for path in paths:
            if path.is_file() and file_sha256(path) == self.weights_sha256:
                return path
        raise ModelError(f"{socket.gethostname()}: {self.plan.weights} is not there, nor the same weights elsewhere")

    def _vlm_here(self) -> Path | None:
        if self.plan.vlm is None or self.plan.vlm.is_dir():
            return self.plan.vlm
        from ..models.vlm_weights import find_vlm

        if (found := find_vlm(self.options.vlm)) is None:
            raise ModelError(f"{socket.gethostname()}: no VLM {self.options.vlm}; 'mineru-accel models download' there")
        return found.path

    def failed(self, task: InputTask, name: str, error: str) -> DocumentResult:
        """The result of a document that could not be converted at all."""
        return DocumentResult(task.path, name, None, str(self.plan.backend), str(self.plan.layout), error=error)

    def found(self, task: InputTask, name: str, report: dict[str, Any]) -> DocumentResult:
        """The result of a document that is in OUT already, by its report."""
        folder = self.output / name
        result = DocumentResult(task.path, name, folder, str(self.plan.backend), str(self.plan.layout))
        result.files = {kind: folder / file for kind, file in report.get("files", {}).items()}
        result.files["report"] = report_path(self.output, name)
        result.pages = pages_of(report)
        return result


def scratch_folder() -> Path:
    """This user's folder for files in the making on this machine; what killed actors left in it is swept."""
    folder = Path(tempfile.gettempdir()) / f"mineru-accel-ray-{os.getuid()}"
    check_output(folder)
    for left in folder.glob("*.partial"):
        try:
            WorkFolder(folder, left.name.removesuffix(".partial")).close()
        except OutputError:  # another actor works in it
            continue
    return folder


def explain(error: Exception) -> str:
    """An error that ended a document, as one line."""
    if not isinstance(error, AccelError):
        logger.opt(exception=error).debug("unexpected")
        return internal_error(error)
    return str(error)


def fetch(cache: remote.Cache, task: InputTask) -> Input:
    """An input as a file on this machine, downloaded if need be."""
    name = str(task.path) if remote.is_url(task.path) else None
    return Input(cache.fetch(task.path), known_as=name)
