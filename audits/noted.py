"""What stands outside the log about it: the heads and freezes that manifests and the ledger noted.

A log that was deleted, cut, or put back from an older copy is sound in itself, and nothing in it says what it lost.
So nothing is made, shown or decided on a log before it was held against what was noted of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits.database import RESTORE, Database, place_of
from audits.log import AuditLog
from episodes.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Noted:
    """What the log must hold."""

    head: tuple[int, str] | None = None
    """(seq, hash) of the latest event that was noted"""
    freezes: frozenset[tuple[str, str, str]] = frozenset()
    """(kind, name, hash) of every freeze that something was made with"""

    def __bool__(self) -> bool:
        return self.head is not None


def noted(manifests: Iterable[Path], evidence: Iterable[Mapping[str, Any]]) -> Noted:
    """What these `manifest.json` files and the `evidence` of the ledger's entries say; nothing where they say nothing.

    An unreadable manifest counts as never written, as it does for the stage it belongs to.
    """
    frozen = [freeze for path in manifests if (freeze := _freeze(path))]
    heads = [(int(freeze["head_seq"]), str(freeze["head_hash"])) for freeze in frozen]
    promoted = [found for each in evidence if isinstance(found := each.get("audit_head"), list)]
    heads += [(int(seq), str(digest)) for seq, digest in promoted]
    freezes = frozenset((str(freeze["kind"]), str(freeze["name"]), str(freeze["hash"])) for freeze in frozen)
    return Noted(max(heads, default=None), freezes)


def open_held(path: Path, known: Noted) -> AuditLog | None:
    """The log at `path`; None where nobody has decided anything yet. Reading never makes one.

    Raises `IntegrityError` where it is gone, empty, or lacks what was noted of it.
    """
    log = find(path, known)
    if log is not None:
        require(log, known)
    return log


def find(path: Path, known: Noted) -> AuditLog | None:
    """The log at `path`, not yet held against `known`; None where there is none and nothing was noted of one."""
    place = place_of(path)
    return AuditLog(place, create=False) if known or Database(place).exists() else None


def require(log: AuditLog, known: Noted) -> None:
    """`IntegrityError` unless the log holds the noted head and every noted freeze. `AuditLog.verify` walks the rest."""
    if known.head is not None and known.head[0] > 0:
        seq, digest = known.head
        event = next(iter(log.events(after=seq - 1)), None)
        if event is None:
            raise IntegrityError(f"{log.name} ends at event {log.head()[0]}, but event {seq} was noted; {RESTORE}")
        if event.hash != digest:
            raise IntegrityError(f"event {seq} of {log.name} is not the one that was noted; {RESTORE}")
    there = {(e.value["kind"], e.value["name"], e.value["hash"]) for e in log.events(kind="freeze")}
    for kind, name, _ in sorted(known.freezes - there):
        raise IntegrityError(f"{log.name} lacks the freeze {name} of {kind} that something was made with; {RESTORE}")


def _freeze(manifest: Path) -> Mapping[str, Any] | None:
    try:
        freeze = json.loads(manifest.read_bytes())["freeze"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return freeze if isinstance(freeze, dict) else None
