"""A release on disk: `<root>/releases/<first 16 digits of its version>/`, the models and their manifest.

`build` copies, hashes and renames the directory into place; `verify` holds every byte against the manifest. The four
models are only valid together, so they travel together. No file in a release can hold code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np

from episodes.errors import DataRefused, IntegrityError, UsageError
from episodes.slug import check_slug
from episodes.workspace import Workspace, disk_errors, sync_directory, writer_lock
from releases.manifest import (
    DIRECTORY_DIGITS,
    MANIFEST,
    OPTIONAL_PARTS,
    PARTS,
    FileEntry,
    Manifest,
    inside_part,
    make_manifest,
    parse_manifest,
)

PICTURES = (".png",)
"""plots that a stage keeps beside its model for people; they stay behind"""
_VERSION = re.compile(r"[0-9a-f]{16,64}")
_DIRECTORY = re.compile(rf"[0-9a-f]{{{DIRECTORY_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Release:
    """A release whose every byte was checked."""

    directory: Path
    manifest: Manifest

    @property
    def version(self) -> str:
        """64 hex digits."""
        return self.manifest.version

    def part(self, name: str) -> Path:
        """The directory of one model; `DataRefused` where the release has none."""
        if not any(entry.path.startswith(f"{name}/") for entry in self.manifest.files):
            raise DataRefused(f"release {self.directory.name} has no {name}; build one that has")
        return self.directory / name


def build(
    root: str | os.PathLike[str],
    task: str,
    *,
    parts: Mapping[str, Path],
    parents: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    features: Mapping[str, Any],
    by: str = "",
    created: str | None = None,
    git_commit: str = "",
    robot_types: Sequence[str] = (),
    licence: str = "",
) -> Release:
    """Bundle the models in `parts` (value, trigger, memory, recovery and, where given, policy) as a release.

    `parents`, `features` are fields of `manifest.Parents`, `manifest.Features`; `created` (ISO 8601) instead of now.
    Pictures stay behind. A release that is there already is verified and returned. Raises `DataRefused` for a part
    that is missing, a file that may not be in a release, a link, or a full disk.
    """
    releases = Workspace.open(root).releases
    _check_parts(parts)
    with writer_lock(releases / ".writer.lock"), disk_errors(releases):
        staged = releases / ".building"
        shutil.rmtree(staged, ignore_errors=True)
        try:
            manifest = make_manifest(
                name=f"regrasp {task}",
                task=check_slug("task", task),
                files=[_copied(source, path, staged) for source, path in _chosen(parts)],
                created=created or datetime.now(UTC).isoformat(timespec="seconds"),
                by=by,
                git_commit=git_commit,
                parents=dict(parents),
                features=dict(features),
                evaluation=dict(evaluation),
                robot_types=tuple(robot_types),
                licence=licence,
            )
            _place(staged, releases / manifest.directory, manifest)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return open_release(root, manifest.version)


def verify(directory: Path) -> Manifest:
    """Hold every byte of a release against its manifest; `IntegrityError` names the first file that differs."""
    path = directory / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise IntegrityError(f"{directory} has no {MANIFEST}; build the release again")
    manifest = parse_manifest(path.read_bytes(), f"{directory.name}/{MANIFEST}")
    if manifest.directory != directory.name:
        raise IntegrityError(f"the manifest in {directory.name} is of release {manifest.directory}; copy it again")
    listed = {entry.path: entry for entry in manifest.files}
    found = {name for name in _files(directory) if name != MANIFEST}
    for name in sorted(found.symmetric_difference(listed)):
        state = "is not in the manifest" if name in found else "is missing"
        raise IntegrityError(f"{name} of release {directory.name} {state}; copy or build the release again")
    for entry in manifest.files:
        if _entry(directory / entry.path, entry.path) != entry:
            raise IntegrityError(f"{entry.path} of release {directory.name} has changed; copy or build it again")
    return manifest


def open_release(root: str | os.PathLike[str], version: str) -> Release:
    """The verified release of a version, given with at least 16 digits. `UsageError` where there is none."""
    releases = Workspace.open(root).releases
    directory = releases / version[:DIRECTORY_DIGITS]
    if not _VERSION.fullmatch(version) or not directory.is_dir():
        raise UsageError(f"there is no release {version!r} in {releases}; `regrasp release list` shows them")
    manifest = verify(directory)
    if not manifest.version.startswith(version):
        raise IntegrityError(f"release {directory.name} is {manifest.version}, not {version}; copy it again")
    return Release(directory, manifest)


def versions(root: str | os.PathLike[str]) -> list[str]:
    """The directories of all releases, sorted; not verified."""
    releases = Workspace.open(root).releases
    if not releases.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(releases) if _DIRECTORY.fullmatch(entry.name))


def _check_parts(parts: Mapping[str, Path]) -> None:
    for name in PARTS:
        if name not in parts:
            raise DataRefused(
                f"a release needs value, trigger, memory and recovery, and {name} is missing; materialize it"
            )
    for name in parts:
        if name not in PARTS + OPTIONAL_PARTS:
            raise DataRefused(f"{name!r} is no part of a release; give {', '.join(PARTS + OPTIONAL_PARTS)}")


def _chosen(parts: Mapping[str, Path]) -> Iterator[tuple[Path, str]]:
    """(source file, path in the release) of all parts, in order; refuses what may not be in one."""
    for part in sorted(parts):
        try:
            paths = sorted(path for path in _files(parts[part]) if not path.endswith(PICTURES))
            if not paths:
                raise DataRefused(f"there is no {part} in {parts[part]}; materialize it")
            for path in paths:
                source = parts[part] / path
                _check_content(source)
                yield source, inside_part(f"{part}/{path}")
        except (ValueError, IntegrityError) as error:
            raise DataRefused(f"{part} cannot be released: {error}; keep only what the model saved") from error


def _files(directory: Path) -> Iterator[str]:
    """All files below, as paths with `/`. A link or device is `IntegrityError`: it is not the bytes it points to."""
    for entry in sorted(directory.rglob("*")):
        path = entry.relative_to(directory).as_posix()
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise IntegrityError(f"{path} in {directory.name} is a link or a device, not a file")
        if entry.is_file():
            yield path


def _check_content(path: Path) -> None:
    """`ValueError` where a file is not what its name says, or an array in it would have to be unpickled."""
    if path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".npz":
        _check_npz(path)
    elif path.suffix == ".safetensors":
        _check_safetensors(path)
    elif path.suffix == ".parquet" and path.read_bytes()[:4] != b"PAR1":
        raise ValueError(f"{path.name} is not a Parquet file")


def _check_npz(path: Path) -> None:
    if not is_zipfile(path):
        raise ValueError(f"{path.name} is not an npz file")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            arrays[name]


def _check_safetensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as tensors:
            tensors.keys()
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a safetensors file ({error})") from error


def _copied(source: Path, path: str, staged: Path) -> FileEntry:
    target = staged / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return _entry(target, path)


def _entry(file: Path, path: str) -> FileEntry:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileEntry(path=path, size=file.stat().st_size, sha256=digest)


def _place(staged: Path, target: Path, manifest: Manifest) -> None:
    """Make the staged files durable and give them their name; one that is there already stays."""
    (staged / MANIFEST).write_bytes(manifest.canonical())
    for path in sorted(staged.rglob("*"), reverse=True):
        _synced(path)
    sync_directory(staged)
    if not target.exists():
        os.rename(staged, target)
        sync_directory(target.parent)


def _synced(path: Path) -> None:
    if path.is_dir():
        sync_directory(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())
