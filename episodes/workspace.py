"""The workspace: one directory that holds everything, and the ways anything is written into it.

A file appears whole or not at all (`atomic_write`), a place has one writer at a time (`writer_lock`), and a command
that must not see the half of what another one writes has the whole workspace to itself (`workspace_lock`).
No file in a workspace holds an absolute path, so a copied or moved workspace works.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from episodes.errors import DataRefused, UsageError

WORKSPACE_SCHEMA_VERSION = 1
_WRITERS = "another command that writes (collect, deploy, import, materialize or a run of the asset graph)"

_DISK_REMEDIES = {
    errno.ENOSPC: "the disk is full; free space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free space and run the same command again",
    errno.EFBIG: "the file is larger than the disk or a limit of the shell allows; raise `ulimit -f`",
    errno.EROFS: "the disk is read-only; choose another --root",
    errno.EACCES: "permission is denied; check who owns the directory, or choose another --root",
    errno.EPERM: "permission is denied; check who owns the directory, or choose another --root",
    errno.ENAMETOOLONG: "the name is too long for this disk; choose a shorter one",
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace directory and the places in it."""

    root: Path

    @classmethod
    def open(cls, root: str | os.PathLike[str], *, create: bool = False) -> Workspace:
        """The workspace at `root`; with `create`, made where it is missing.

        Raises `UsageError` where there is none, `DataRefused` where a newer Regrasp wrote it.
        """
        workspace = cls(Path(root))
        if workspace.root.exists() and not workspace.root.is_dir():
            raise UsageError(f"{workspace.root} is a file, not a workspace; choose a directory with --root")
        if workspace._marker.is_file():
            _check_marker(workspace._marker)
        elif create:
            atomic_write(workspace._marker, json.dumps({"schema_version": WORKSPACE_SCHEMA_VERSION}).encode())
        else:
            raise UsageError(f"{workspace.root} is no workspace yet; make one with `regrasp demo` or `regrasp import`")
        return workspace

    @property
    def _marker(self) -> Path:
        return self.root / "workspace.json"

    @property
    def episodes(self) -> Path:
        return self.root / "episodes"

    @property
    def discarded(self) -> Path:
        return self.root / "discarded"

    @property
    def derived(self) -> Path:
        return self.root / "derived"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def live(self) -> Path:
        return self.root / "live"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def audits(self) -> Path:
        return self.root / "audits.sqlite"

    @property
    def split(self) -> Path:
        return self.root / "split.parquet"


def atomic_write(path: Path, data: bytes, *, check: Callable[[Path], None] | None = None) -> None:
    """Write `data` to `path` whole or not at all: a partial file beside it, fsync, rename, fsync of the directory.

    `check` reads the partial file back before the rename and raises where it is not right.
    A full, read-only or forbidden disk is `DataRefused`, and nothing is left behind.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_synced(partial, data)
            if check is not None:
                check(partial)
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


@contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone. Never waits: a second writer is `DataRefused`, naming the first.

    The kernel drops the lock with the process, so a killed writer leaves nothing to clean up.
    """
    with _held(path, fcntl.LOCK_EX, f"process {os.getpid()}", f"{path} is being written"):
        yield


@contextmanager
def workspace_lock(root: Path, *, alone: str = "") -> Iterator[None]:
    """Write in the workspace beside others that do; where `alone` says which command this is, beside nobody.

    Never waits: `DataRefused` says who is there. A directory that is no workspace yet has nobody to keep out.
    """
    if not (root / "workspace.json").is_file():
        yield
        return
    mode, holder = (fcntl.LOCK_EX, f"{alone} (process {os.getpid()})") if alone else (fcntl.LOCK_SH, _WRITERS)
    with _held(root / ".workspace.lock", mode, holder, f"{root} is in use"):
        yield


@contextmanager
def one_at_a_time(root: Path, command: str) -> Iterator[None]:
    """Write in the workspace beside others that do, but not beside a second `command` (a verb): `DataRefused`."""
    holder = f"`regrasp {command}` (process {os.getpid()})"
    with workspace_lock(root), _held(root / f".{command}.lock", fcntl.LOCK_EX, holder, f"{root} is in use"):
        yield


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say in one sentence what a full, read-only or forbidden disk means for `path` (`DataRefused`)."""
    try:
        yield
    except OSError as error:
        remedy = _DISK_REMEDIES.get(error.errno or 0)
        if remedy is None:
            raise
        raise DataRefused(f"{path} was not written: {remedy}") from error


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable: a rename is on disk only after this."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _held(path: Path, mode: int, holder: str, used: str) -> Iterator[None]:
    """Hold the lock file `path`, with the holder's name in it; `used` begins the sentence for those that come later."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            there = os.pread(handle, 256, 0).decode(errors="replace").strip() or "another process"
            raise DataRefused(f"{used} by {there}; wait until it ends, or end it") from None
        with disk_errors(path):
            os.pwrite(handle, holder.encode(), 0)
            os.ftruncate(handle, len(holder.encode()))
        yield
    finally:
        os.close(handle)


def _check_marker(marker: Path) -> None:
    try:
        version = json.loads(marker.read_text())["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataRefused(f"{marker} is damaged ({error!r}); restore it from a copy of the workspace") from error
    if not isinstance(version, int) or version > WORKSPACE_SCHEMA_VERSION:
        raise DataRefused(
            f"{marker} says schema version {version} and this Regrasp reads up to {WORKSPACE_SCHEMA_VERSION}; "
            "install a newer Regrasp"
        )
