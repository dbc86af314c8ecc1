"""A freeze: the decisions standing at one moment, named, hashed and never changed; what training reads.

It is itself an event of the log, so that the chain protects it, and holds the log's head (seq and hash) and the count
of decisions it was made from. Its hash is over the decisions alone: two freezes of the same decisions are the same
data. A name is used once for each kind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from audits.events import Event, canonical, draft_of
from audits.log import AuditLog
from audits.state import AuditState, Decisions, fold
from episodes.errors import IntegrityError, UsageError

FREEZE_KINDS = ("episodes", "labels", "pairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """An immutable set of decisions."""

    name: str
    kind: str
    """episodes, labels or pairs"""
    hash: str
    """sha256 of kind and decisions"""
    head_seq: int
    """the log's last event when the decisions were taken from it"""
    head_hash: str
    count: int
    """number of decided items"""
    decisions: Decisions
    """item -> what is decided about it"""


def freeze(log: AuditLog, kind: str, name: str, *, by: str) -> Freeze:
    """Freeze the standing decisions of one kind under `name` and return them.

    Raises `UsageError` for a name that is no slug, `DataRefused` where the name is used.
    """
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", name):
        raise UsageError(f"{name!r} is no name for a freeze; use lower-case letters, digits, - and _")
    events = log.events()
    decisions = standing(fold(events), kind)
    head_seq, head_hash = (events[-1].seq, events[-1].hash) if events else log.head()
    made = Freeze(
        name=name,
        kind=kind,
        hash=decisions_hash(kind, decisions),
        head_seq=head_seq,
        head_hash=head_hash,
        count=len(decisions),
        decisions=decisions,
    )
    log.append_once(draft_of("freeze", f"{kind}:{name}", by=by, value=asdict(made)))
    return made


def standing(state: AuditState, kind: str) -> Decisions:
    """The decisions a freeze of this kind would hold now."""
    if kind not in FREEZE_KINDS:
        raise UsageError(f"{kind!r} cannot be frozen; use one of {', '.join(FREEZE_KINDS)}")
    decisions: Decisions = getattr(state, kind)
    return decisions


def decisions_hash(kind: str, decisions: Decisions) -> str:
    """The content hash of a set of decisions."""
    return hashlib.sha256(canonical({"kind": kind, "decisions": decisions}).encode()).hexdigest()


def list_freezes(log: AuditLog) -> list[Freeze]:
    """Every freeze, oldest first. Raises `IntegrityError` where one is not what its hash says."""
    return [_read(event) for event in log.events(kind="freeze")]


def latest(log: AuditLog, kind: str) -> Freeze | None:
    """The newest freeze of this kind, None where there is none."""
    return next((made for made in reversed(list_freezes(log)) if made.kind == kind), None)


def load(log: AuditLog, kind: str, name: str) -> Freeze:
    """The freeze of this kind and name; `UsageError` names those there are."""
    found = {made.name: made for made in list_freezes(log) if made.kind == kind}
    if name not in found:
        raise UsageError(f"there is no freeze {name!r} of {kind}; there are: {', '.join(found) or 'none'}")
    return found[name]


@dataclass(frozen=True, slots=True)
class Changed:
    """One item about which two sets of decisions differ."""

    item: str
    before: Mapping[str, Any]
    """what was decided; empty where nothing was"""
    after: Mapping[str, Any]


def difference(before: Decisions, after: Decisions) -> list[Changed]:
    """The items that two sets of decisions differ in, in the order of their names."""
    return [
        Changed(item, before.get(item, {}), after.get(item, {}))
        for item in sorted({*before, *after})
        if before.get(item) != after.get(item)
    ]


def _read(event: Event) -> Freeze:
    made = Freeze(**event.value)
    if made.hash != decisions_hash(made.kind, made.decisions):
        raise IntegrityError(f"freeze {made.name} (event {event.seq}) is not what was frozen; restore the audit log")
    return made
