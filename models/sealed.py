"""Small JSON files that show a changed byte: canonical text that carries its own hash.

    {"content": ..., "sha256": of the canonical text of content}

Read back, the text must be exactly what `seal` makes of its content, so that a flipped byte, a cut tail or an edit by
hand is seen before a number of it is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from episodes.errors import IntegrityError
from episodes.workspace import atomic_write


def seal(content: Mapping[str, Any]) -> bytes:
    """The text of a sealed file; `content` is plain JSON without NaN or infinities."""
    return _canonical({"content": content, "sha256": hashlib.sha256(_canonical(content)).hexdigest()})


def unseal(text: bytes, name: str, where: str) -> dict[str, Any]:
    """The content of a sealed text; `IntegrityError` naming file and directory where a byte of it has changed."""
    try:
        content = dict(json.loads(text)["content"])
        intact = seal(content) == text
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise IntegrityError(f"{name} in {where} is not what was written; make it again with `regrasp materialize`")
    return content


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path`, whole or not at all."""
    atomic_write(path, seal(content))


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote; `IntegrityError` where it is missing or has changed."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"no {path.name} in {path.parent.name} ({error.strerror}); make it again with `regrasp materialize`"
        ) from error
    return unseal(text, path.name, path.parent.name)


@contextmanager
def as_written(directory: Path) -> Iterator[None]:
    """Say in one sentence that the intact files of a model are those of another version of Regrasp."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{directory.name} was written by another version of Regrasp ({error}); make it again with this one"
        ) from error


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
