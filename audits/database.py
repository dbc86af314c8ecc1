"""The database under the log: SQLite (a path, the default) or PostgreSQL (a URL), and its errors as one sentence.

Writers are serialized by the database itself (`BEGIN IMMEDIATE`, or an advisory lock), so that any number of processes
write one after the other. A write returns after its commit has reached the disk. Every operation opens its own SQLite
connection without permission to create the file: a database that was deleted is an error, never an empty one. A new one
appears whole, with its table: a file of 0 bytes is one that lost everything.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from episodes.errors import DataRefused, IntegrityError, RegraspError, UsageError

BUSY_TIMEOUT_S = 10.0
_ADVISORY_LOCK = 0x5265677261737001
"""one number for every Regrasp log of a PostgreSQL database; a database holds one log"""
VARIABLE = "REGRASP_AUDITS"
RESTORE = "restore it from a copy of the workspace, or from an export with `regrasp audit import`"

EVENTS = sa.Table(
    "events",
    sa.MetaData(),
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)


def place_of(path: Path) -> str | Path:
    """Where the log of a workspace is: the postgresql:// URL in REGRASP_AUDITS, else the file at `path`."""
    return os.environ.get(VARIABLE) or path


class Database:
    """Where events are kept. Cheap to open; safe to share between threads."""

    def __init__(self, place: str | Path) -> None:
        text = str(place)
        self.path = None if "://" in text else Path(text)
        self._engine = _postgres(text) if self.path is None else _sqlite(self.path)
        self.name = self._engine.url.render_as_string(hide_password=True) if self.path is None else text

    def exists(self) -> bool:
        """True where there is a log, sound or not."""
        if self.path is not None:
            return self.path.exists()
        with self.reading() as connection:
            return sa.inspect(connection).has_table(EVENTS.name)

    def create(self) -> None:
        """Make an empty log; one that another process made in the meantime is left as it is."""
        with self._explained():
            if self.path is not None:
                _create_sqlite(self.path)
                return
        with self.writing() as connection:
            EVENTS.create(connection, checkfirst=True)

    def require(self) -> None:
        """`IntegrityError` where the log is gone or has lost everything."""
        if not self.exists():
            raise IntegrityError(f"the audit log {self.name} is gone; {RESTORE}")
        if self.path is not None and self.path.stat().st_size == 0:
            raise IntegrityError(f"the audit log {self.name} is an empty file; remove it, then {RESTORE}")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the log."""
        with self._explained(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer is in; committed at the end, rolled back on any error."""
        with self._explained(), self._engine.connect() as connection, connection.begin():
            if self.path is not None:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

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
            connection.execute(str(sa.schema.CreateTable(EVENTS).compile(dialect=_SQLITE_DIALECT)))
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


def _explain(error: Exception, name: str) -> RegraspError:
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if "locked" in text:
        return DataRefused(f"the audit log {name} is locked by another program; close it and try again")
    if "malformed" in text or "not a database" in text or "no such table" in text:
        return IntegrityError(f"the audit log {name} is damaged ({text}); restore it from an export")
    return DataRefused(f"the audit log {name} cannot be used ({text}); check that it is there and writable")
