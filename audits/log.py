"""The append-only log of decisions: table `events(seq, body, hash)` in SQLite (a path) or PostgreSQL (a URL).

Appends are serialized by the database itself (`BEGIN IMMEDIATE`, or an advisory lock), so that writers in any
number of processes make one chain. An append returns after the commit has reached the disk. Every operation opens its
own SQLite connection without permission to create the file: a log that was deleted is an error, never an empty log.
A new log appears whole, with its table: a file of 0 bytes is one that lost everything.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from audits.events import ROOT_HASH, Event, chain, draft_of, parse
from audits.kinds import check
from episodes.errors import DataRefused, IntegrityError, RegraspError, UsageError

BUSY_TIMEOUT_S = 10.0
_ADVISORY_LOCK = 0x5265677261737001
"""one number for every Regrasp log of a PostgreSQL database; a database holds one log"""

RESTORE = "restore it from a copy of the workspace, or from an export with `regrasp audit import`"

_TABLE = sa.Table(
    "events",
    sa.MetaData(),
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)


class AuditLog:
    """The decisions of a workspace, in order. Cheap to open; safe to share between threads."""

    def __init__(self, url_or_path: str | Path, *, create: bool = True) -> None:
        """Open the log, with `create` making an empty one where there is none.

        Raises `DataRefused` where the database cannot be reached, `IntegrityError` where the file is gone or no log.
        """
        text = str(url_or_path)
        self._path = None if "://" in text else Path(text)
        self._engine = _postgres(text) if self._path is None else _sqlite(self._path)
        self.name = self._engine.url.render_as_string(hide_password=True) if self._path is None else text
        with self._explained():
            self._open(create=create)

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

        With `unchanged_since` (the log's last seq when the item was shown) the decision is refused with `DataRefused`
        if anything was decided about the item since: a stale screen never overwrites in silence.
        """
        draft = draft_of(kind, item, by=by, value=value, shown=shown, seconds=seconds)
        return self.append_all([draft], unchanged_since=unchanged_since)[0]

    def append_all(self, drafts: Sequence[Event], *, unchanged_since: int | None = None) -> list[Event]:
        """Write many decisions as `append` does one: all of them, in this order, or none."""
        for draft in drafts:
            check(draft.kind, draft.item, draft.value)
        items = {draft.item for draft in drafts}

        def make(connection: Connection) -> Sequence[Event]:
            if unchanged_since is not None:
                _refuse_if_changed(_read(connection, after=unchanged_since), items)
            return drafts

        return self._write(make)

    def undo(self, seq: int, *, by: str) -> Event:
        """Take back event `seq`, which may itself be an undo, by a compensating event about the same item."""

        def make(connection: Connection) -> Sequence[Event]:
            target = _undoable(list(_read(connection)), seq)
            return [draft_of("undo", target.item, by=by, value={"seq": seq})]

        return self._write(make)[0]

    def append_once(self, draft: Event) -> Event:
        """Write `draft` unless an event of its kind and item exists; for freezes, whose names are used once."""

        def make(connection: Connection) -> Sequence[Event]:
            for event in _read(connection):
                if (event.kind, event.item) == (draft.kind, draft.item):
                    raise DataRefused(f"{draft.kind} {draft.item} exists since {event.at}; choose another name")
            return [draft]

        return self._write(make)[0]

    def events(self, kind: str | None = None, item: str | None = None, *, after: int = 0) -> list[Event]:
        """The events with seq > `after`, in order, of one kind or about one item if asked."""
        with self._explained(), self._engine.connect() as connection:
            wanted = _read(connection, after=after)
            return [event for event in wanted if kind in (None, event.kind) and item in (None, event.item)]

    def head(self) -> tuple[int, str]:
        """(seq, hash) of the last event; (0, 64 zeros) of an empty log."""
        with self._explained(), self._engine.connect() as connection:
            return _head(connection)

    def verify(self, *, head: tuple[int, str] | None = None) -> int:
        """Walk the whole chain and return how many events it has.

        Raises `IntegrityError` naming the first bad seq. A cut tail leaves a sound chain, so it shows only against a
        `head` noted elsewhere (in a manifest, ledger entry or export).
        """
        previous, last = ROOT_HASH, 0
        with self._explained(), self._engine.connect() as connection:
            for seq, body, digest in _rows(connection):
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
        with self._explained(), _writing(self._engine) as connection:
            own = [(seq, digest) for seq, _, digest in _rows(connection)]
            if own != [(event.seq, event.hash) for event in stored[: len(own)]]:
                raise DataRefused(f"{self.name} holds other decisions than the export; import into a new workspace")
            for event in stored[len(own) :]:
                connection.execute(_TABLE.insert().values(seq=event.seq, body=event.body, hash=event.hash))
            return len(stored) - len(own)

    def close(self) -> None:
        """Give back the database connections."""
        self._engine.dispose()

    def _write(self, make: Callable[[Connection], Sequence[Event]]) -> list[Event]:
        written: list[Event] = []
        with self._explained(), _writing(self._engine) as connection:
            last, previous = _head(connection)
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            for seq, draft in enumerate(make(connection), start=last + 1):
                event = replace(draft, seq=seq, at=at, by=_person(draft.by))
                event = replace(event, hash=chain(previous, event.body))
                connection.execute(_TABLE.insert().values(seq=event.seq, body=event.body, hash=event.hash))
                written.append(event)
                previous = event.hash
        return written

    def _open(self, *, create: bool) -> None:
        if self._path is None:
            with _writing(self._engine) as connection:
                _TABLE.create(connection, checkfirst=True)
        elif not self._path.exists() and create:
            _create_sqlite(self._path)
        elif not self._path.exists():
            raise IntegrityError(f"the audit log {self.name} is gone; {RESTORE}")
        elif self._path.stat().st_size == 0:
            raise IntegrityError(f"the audit log {self.name} is an empty file; remove it, then {RESTORE}")
        else:
            self.head()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the database's own errors into one sentence."""
        try:
            yield
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise _explain(error, self.name) from error


def _sqlite(path: Path) -> Engine:
    """An engine that opens `path` for each use, never creates it, and waits for other writers."""

    def connect() -> sqlite3.Connection:
        uri = f"file:{quote(str(path.absolute()))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # a flipped byte must reach verify()
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _create_sqlite(path: Path) -> None:
    """Make an empty log beside its place and link it there, unless another process was first."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            connection.execute(str(sa.schema.CreateTable(_TABLE).compile(dialect=_SQLITE_DIALECT)))
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


_SQLITE_DIALECT = sa.create_engine("sqlite://").dialect


def _postgres(url: str) -> Engine:
    if not url.startswith("postgresql"):
        raise UsageError(f"{url.split('://')[0]} is no audit log database; give a file path or a postgresql:// URL")
    return sa.create_engine(url, pool_pre_ping=True)


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer is in; committed at the end, rolled back on any error."""
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        yield connection


def _rows(connection: Connection, after: int = 0) -> Iterator[tuple[int, str, str]]:
    query = sa.select(_TABLE).where(_TABLE.c.seq > after).order_by(_TABLE.c.seq)
    for row in connection.execute(query):
        yield row.seq, row.body, row.hash


def _read(connection: Connection, after: int = 0) -> Iterator[Event]:
    return (parse(*row) for row in _rows(connection, after))


def _head(connection: Connection) -> tuple[int, str]:
    row = connection.execute(sa.select(_TABLE.c.seq, _TABLE.c.hash).order_by(_TABLE.c.seq.desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, ROOT_HASH)


def _verify_row(expected: int, previous: str, seq: int, body: str, digest: str) -> None:
    remedy = "restore the log from an export"
    if seq != expected:
        raise IntegrityError(f"event {expected} of the audit log is missing; {remedy}")
    if digest != chain(previous, body) or parse(seq, body, digest).seq != seq:
        raise IntegrityError(f"event {seq} of the audit log is not what was written; {remedy}")


def _refuse_if_changed(later: Iterator[Event], items: set[str]) -> None:
    for event in later:
        if event.item in items:
            raise DataRefused(
                f"{event.by} decided about {event.item} while you looked at it; look at it again, then decide"
            )


def _undoable(events: list[Event], seq: int) -> Event:
    if not 1 <= seq <= len(events):
        raise UsageError(f"there is no event {seq} to undo; the log has {len(events)}")
    if events[seq - 1].kind == "freeze":
        raise UsageError(f"event {seq} is a freeze, which never changes; make a new freeze")
    if seq in undone(events):
        raise UsageError(f"event {seq} is already undone; undo the undo to bring it back")
    return events[seq - 1]


def undone(events: list[Event]) -> set[int]:
    """The seqs that are out of force: their undo stands. An undo that is itself undone does not count."""
    out: set[int] = set()
    for event in reversed(events):
        if event.kind == "undo" and event.seq not in out:
            out.add(int(event.value["seq"]))
    return out


def _person(name: str) -> str:
    if not name.strip():
        raise UsageError("a decision needs the name of who decides; give one")
    return name.strip()


def _explain(error: Exception, name: str) -> RegraspError:
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if "locked" in text:
        return DataRefused(f"the audit log {name} is locked by another program; close it and try again")
    if "malformed" in text or "not a database" in text or "no such table" in text:
        return IntegrityError(f"the audit log {name} is damaged ({text}); restore it from an export")
    return DataRefused(f"the audit log {name} cannot be used ({text}); check that it is there and writable")
