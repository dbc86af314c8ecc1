"""The append-only log of decisions: table `events(seq, body, hash)`, one hash chain whoever writes.

A decision is compared and swapped: it names the log's last seq when its item was shown, and is refused if anybody
decided about the item since. Nothing is ever rewritten; to undo is to append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from audits.database import EVENTS, Database
from audits.events import ROOT_HASH, Event, canonical, chain, draft_of, items_of, parse
from audits.kinds import check
from episodes.errors import Conflict, DataRefused, IntegrityError, UsageError


class AuditLog:
    """The decisions of a workspace, in order. Cheap to open; safe to share between threads."""

    def __init__(self, url_or_path: str | Path, *, create: bool = True) -> None:
        """Open the log, with `create` making an empty one where there is none.

        Raises `DataRefused` where the database cannot be reached, `IntegrityError` where the file is gone or no log.
        """
        self.database = Database(url_or_path)
        self.name = self.database.name
        if create and not self.database.exists():
            self.database.create()
        else:
            self.database.require()
        self.head()

    def append(
        self,
        kind: str,
        item: str,
        *,
        by: str,
        value: Mapping[str, Any],
        shown: Mapping[str, Any],
        seconds: float,
        unchanged_since: int | None = None,
    ) -> Event:
        """Write one decision and return it once it is safe.

        With `unchanged_since` (the log's last seq when the item was shown) the decision is refused with `Conflict`
        if anything was decided about the item since: a stale screen never overwrites in silence.
        """
        draft = draft_of(kind, item, by=by, value=value, shown=shown, seconds=seconds)
        return self.append_all([draft], unchanged_since=unchanged_since)[0]

    def append_all(self, drafts: Sequence[Event], *, unchanged_since: int | None = None) -> list[Event]:
        """Write many decisions as `append` does one: all of them, in this order, or none."""
        for draft in drafts:
            check(draft.kind, draft.item, draft.value)
        items = set[str]().union(*(items_of(draft) for draft in drafts))

        def make(connection: Connection) -> Sequence[Event]:
            if unchanged_since is not None:
                _refuse_if_changed(_read(connection, after=unchanged_since), items)
            return drafts

        return self._write(make)

    def undo(self, seq: int, *, by: str) -> Event:
        """Take back event `seq`, which may itself be an undo, by a compensating event about the same item."""

        def make(connection: Connection) -> Sequence[Event]:
            target = next((event for event in _read(connection, after=seq - 1) if event.seq == seq), None)
            if target is None:
                raise UsageError(f"there is no event {seq} to undo; the log has {_last(connection)[0]}")
            _require_undoable(target, _read(connection, kind="undo", item=target.item))
            items = {"items": sorted(items_of(target))}
            return [draft_of("undo", target.item, by=by, value={"seq": seq}, shown=items)]

        return self._write(make)[0]

    def append_once(self, draft: Event) -> Event:
        """Write `draft` unless an event of its kind and item exists; for freezes, whose names are used once."""

        def make(connection: Connection) -> Sequence[Event]:
            for event in _read(connection, kind=draft.kind, item=draft.item):
                raise DataRefused(f"{draft.kind} {draft.item} exists since {event.at}; choose another name")
            return [draft]

        return self._write(make)[0]

    def events(self, kind: str | None = None, item: str | None = None, *, after: int = 0) -> list[Event]:
        """The events with seq > `after`, in order, of one kind or about one item if asked."""
        with self.database.reading() as connection:
            return list(_read(connection, kind=kind, item=item, after=after))

    def head(self) -> tuple[int, str]:
        """(seq, hash) of the last event; (0, 64 zeros) of an empty log."""
        with self.database.reading() as connection:
            return _head(connection)

    def verify(self, *, head: tuple[int, str] | None = None) -> int:
        """Walk the whole chain and return how many events it has.

        Raises `IntegrityError` naming the first bad seq. A cut tail leaves a sound chain, so it shows only against a
        `head` noted elsewhere (in a manifest, ledger entry or export).
        """
        previous, last = ROOT_HASH, 0
        with self.database.reading() as connection:
            for seq, body, digest in connection.execute(_rows()):
                last += 1
                _verify_row(last, previous, seq, body, digest)
                if head is not None and seq == head[0] and digest != head[1]:
                    raise IntegrityError(f"event {seq} of {self.name} is not the one that was noted; restore the log")
                previous = digest
        if head is not None and last < head[0]:
            raise IntegrityError(f"{self.name} ends at event {last}, but event {head[0]} was noted; restore the log")
        return last

    def restore(self, stored: list[Event]) -> int:
        """Continue this log with the events of an export; returns how many were new.

        Refused unless this log is a beginning of `stored`: two histories are never mixed.
        """
        with self.database.writing() as connection:
            own = [(seq, digest) for seq, _, digest in connection.execute(_rows())]
            if own != [(event.seq, event.hash) for event in stored[: len(own)]]:
                raise DataRefused(f"{self.name} holds other decisions than the export; import into a new workspace")
            _insert(connection, stored[len(own) :])
            return len(stored) - len(own)

    def close(self) -> None:
        """Give back the database connections."""
        self.database.close()

    def _write(self, make: Callable[[Connection], Sequence[Event]]) -> list[Event]:
        written: list[Event] = []
        with self.database.writing() as connection:
            last, previous = _last(connection)
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            for seq, draft in enumerate(make(connection), start=last + 1):
                event = replace(draft, seq=seq, at=at, by=_person(draft.by))
                event = replace(event, hash=chain(previous, event.body))
                written.append(event)
                previous = event.hash
            _insert(connection, written)
        return written


def _insert(connection: Connection, events: Sequence[Event]) -> None:
    if events:
        rows = [{"seq": event.seq, "body": event.body, "hash": event.hash} for event in events]
        connection.execute(EVENTS.insert(), rows)


def _rows(after: int = 0) -> sa.Select[Any]:
    return sa.select(EVENTS.c.seq, EVENTS.c.body, EVENTS.c.hash).where(EVENTS.c.seq > after).order_by(EVENTS.c.seq)


def _read(
    connection: Connection, *, kind: str | None = None, item: str | None = None, after: int = 0
) -> Iterator[Event]:
    """The database leaves out what cannot be asked for, by its text, before anything is parsed."""
    query = _rows(after)
    for name, wanted in (("kind", kind), ("item", item)):
        if wanted is not None:
            query = query.where(EVENTS.c.body.contains(f'"{name}":{canonical(wanted)}', autoescape=True))
    found = (parse(*row) for row in connection.execute(query))
    return (event for event in found if kind in (None, event.kind) and item in (None, event.item))


def _head(connection: Connection) -> tuple[int, str]:
    row = connection.execute(sa.select(EVENTS.c.seq, EVENTS.c.hash).order_by(EVENTS.c.seq.desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, ROOT_HASH)


def _last(connection: Connection) -> tuple[int, str]:
    """The head, after a look that the last event is one this Regrasp can read: nothing goes on top of a newer one."""
    seq, digest = _head(connection)
    for event in _read(connection, after=seq - 1) if seq else ():
        assert event.seq == seq
    return seq, digest


def _verify_row(expected: int, previous: str, seq: int, body: str, digest: str) -> None:
    remedy = "restore the log from an export"
    if seq != expected:
        raise IntegrityError(f"event {expected} of the audit log is missing; {remedy}")
    if digest != chain(previous, body) or parse(seq, body, digest).seq != seq:
        raise IntegrityError(f"event {seq} of the audit log is not what was written; {remedy}")


def _refuse_if_changed(later: Iterator[Event], items: set[str]) -> None:
    for event in later:
        if both := items_of(event) & items:
            raise Conflict(
                f"{event.by} decided about {min(both)} while you looked at it; look at it again, then decide"
            )


def _require_undoable(target: Event, undos: Iterator[Event]) -> None:
    if target.kind == "freeze":
        raise UsageError(f"event {target.seq} is a freeze, which never changes; make a new freeze")
    if target.seq in undone(undos):
        raise UsageError(f"event {target.seq} is already undone; undo the undo to bring it back")


def undone(events: Iterable[Event]) -> set[int]:
    """The seqs that are out of force: their undo stands. An undo that is itself undone does not count."""
    out: set[int] = set()
    for event in reversed(list(events)):
        if event.kind == "undo" and event.seq not in out:
            out.add(int(event.value["seq"]))
    return out


def _person(name: str) -> str:
    if not name.strip():
        raise UsageError("a decision needs the name of who decides; give one")
    return name.strip()
