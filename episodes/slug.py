"""Slugs: the names of tasks, sessions and cameras, safe as a folder, a partition key and an HDF5 group."""

from __future__ import annotations

import re

from episodes.errors import UsageError

_SLUG = re.compile(r"[a-z0-9_-]{1,128}")


def is_slug(name: str) -> bool:
    """True for 1 to 128 of the characters `a-z 0-9 _ -`."""
    return _SLUG.fullmatch(name) is not None


def check_slug(what: str, name: str) -> str:
    """`name` itself, or `UsageError` naming `what` it was for."""
    if not is_slug(name):
        raise UsageError(f"{what} {name!r} is not a name Regrasp can use; choose one of a-z, 0-9, _ and -")
    return name


def slugify(text: str) -> str:
    """The nearest slug to any text, `unnamed` where nothing is left: "Put Carrot" -> "put_carrot"."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_")[:128] or "unnamed"
