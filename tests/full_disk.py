"""A disk that fills up while a file is written, and what is there of a workspace."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from episodes import workspace
from episodes.errors import DataRefused


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, keep: float) -> Iterator[None]:
    """Take only this share of each file; whoever writes in the block must say that the disk is full."""

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[: int(keep * len(data))])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "_write_synced", full)
        with pytest.raises(DataRefused, match="the disk is full; free space"):
            yield


def stored(root: Path) -> dict[str, bytes]:
    """All files but locks, by their names."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}
