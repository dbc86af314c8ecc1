"""One decision as one event: canonical JSON text and a link of a hash chain.

An event's body is the canonical JSON of everything but its hash: keys sorted, no spaces, UTF-8, no NaN.
The chain is `hash_n = sha256(hash_{n-1} + body_n)`, in hex, with `hash_0` of 64 zeros; `seq` counts from 1 and
stands inside the body. A stored event is never rewritten: a newer `version` is refused, an older one is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from episodes.errors import DataRefused, IntegrityError

EVENT_VERSION = 1
ROOT_HASH = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One decision of one person about one item."""

    seq: int
    """place in the log, from 1"""
    kind: str
    item: str
    """what it is about: an episode, label, pair or freeze id"""
    by: str
    at: str
    """UTC, ISO 8601 with milliseconds"""
    seconds: float
    """how long the person looked before deciding"""
    value: Mapping[str, Any]
    """the decision itself"""
    shown: Mapping[str, Any]
    """what was on the screen: model hash, miner parameters, frame range, why it was queued"""
    version: int = EVENT_VERSION
    hash: str = ""

    @property
    def body(self) -> str:
        """The canonical JSON text that is stored and hashed."""
        return canonical({name: getattr(self, name) for name in _BODY_FIELDS})


_BODY_FIELDS = tuple(field.name for field in fields(Event) if field.name != "hash")


def draft_of(
    kind: str,
    item: str,
    *,
    by: str,
    value: Mapping[str, Any],
    shown: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
) -> Event:
    """A decision before the log gave it its place, time and hash."""
    return Event(seq=0, kind=kind, item=item, by=by, at="", seconds=seconds, value=value, shown=shown or {})


def items_of(event: Event) -> set[str]:
    """Every item that a decision writes: also the label that is joined in, and the second part of one that is cut."""
    value, items = event.value, {event.item}
    if event.kind == "label.merge":
        return items | {value["other"]}
    if event.kind == "label.split":
        return items | {second_part(value)}
    return items | set(event.shown.get("items", ())) if event.kind == "undo" else items


def second_part(value: Mapping[str, Any]) -> str:
    """The id of the label behind a cut."""
    return f"{value['episode_id']}:{value['at']}-{value['stop']}"


def canonical(value: Any) -> str:
    """The one JSON text of a value; raises `DataRefused` for what JSON cannot hold (NaN, bytes, objects)."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")  # half a character (a lone surrogate) cannot be stored
    except (TypeError, ValueError) as error:
        raise DataRefused(
            f"a decision holds a value that JSON cannot ({error}); pass plain numbers and text"
        ) from error
    return text


def chain(previous: str, body: str) -> str:
    """The hash of an event with this body after an event with hash `previous`."""
    return hashlib.sha256((previous + body).encode("utf-8")).hexdigest()


def parse(seq: int, body: str, digest: str) -> Event:
    """The event stored as `body`; raises `IntegrityError` naming `seq` where the text is not an event."""
    try:
        stored = json.loads(body)
        version = int(stored["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"event {seq} of the audit log is not readable; restore the log from an export") from error
    if version > EVENT_VERSION:
        raise DataRefused(
            f"event {seq} of the audit log has version {version}, newer than this Regrasp; update Regrasp"
        )
    try:
        return Event(**stored, hash=digest)
    except TypeError as error:
        raise IntegrityError(f"event {seq} of the audit log lacks a field; restore the log from an export") from error
