"""What differs between two releases: the models' hashes, their configs, what they were made from, their figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from releases.bundle import Release
from releases.manifest import FileEntry, canonical

ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two releases say differently; `ABSENT` where one does not say it."""

    name: str
    first: Any
    second: Any


def difference(first: Release, second: Release) -> list[Difference]:
    """Everything that differs but the version itself, sorted by name within each kind."""
    a, b = _described(first), _described(second)
    names = [*a, *(name for name in b if name not in a)]
    return [Difference(n, a.get(n, ABSENT), b.get(n, ABSENT)) for n in names if a.get(n, ABSENT) != b.get(n, ABSENT)]


def _described(release: Release) -> dict[str, Any]:
    """Everything a release says of itself, by dotted name."""
    manifest = release.manifest.model_dump(mode="json", by_alias=True)
    by_part: dict[str, list[FileEntry]] = {}
    for entry in release.manifest.files:
        by_part.setdefault(entry.path.partition("/")[0], []).append(entry)
    parts = {part: _hashed(entries) for part, entries in sorted(by_part.items())}
    said = {name: manifest[name] for name in sorted({*manifest} - {"files"})}
    return dict(_flat({"part": parts, "config": dict(_configs(release)), **said}))


def _hashed(entries: list[FileEntry]) -> str:
    """16 hex digits over the files of a part."""
    return hashlib.sha256(canonical([entry.model_dump() for entry in entries])).hexdigest()[:16]


def _configs(release: Release) -> Iterator[tuple[str, Any]]:
    """file -> the settings that a model was made with, where the file has some."""
    for entry in release.manifest.files:
        if entry.path.endswith(".json"):
            saved = json.loads((release.directory / entry.path).read_bytes())
            content = saved.get("content", saved) if isinstance(saved, dict) else {}
            if isinstance(content, dict) and "config" in content:
                yield entry.path, content["config"]


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
