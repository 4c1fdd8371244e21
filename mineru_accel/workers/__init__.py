"""Worker processes: everything that may crash, hang or eat memory runs in one, and costs only what it was doing."""

from .pool import WorkerPool

__all__ = ["WorkerPool"]
