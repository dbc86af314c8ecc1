"""Who looks at what: a lease on an item, so that two people do not judge the same one at the same time.

A lease only tells: it stops nobody from deciding, and no decision depends on it (`AuditLog.append` compares and swaps).
One person holds one item; the lease moves along with the person and ends by itself. Table `leases(item, by, until)`, in
the database of the log; it is no decision, and losing it loses nothing. Times are seconds since 1970, of the machine
that asks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from audits.database import Database

LEASE_S = 120.0
_LEASES = sa.Table(
    "leases",
    sa.MetaData(),
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody's hold on an item."""

    item: str
    by: str
    until: float
    """seconds since 1970"""


class Leases:
    """The leases beside a log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, item: str, by: str, *, now: float | None = None) -> Lease:
        """Take or renew the item for `by`, whose former item becomes free; returns whose it is, also if another's."""
        now = time.time() if now is None else now
        mine = Lease(item=item, by=by, until=now + LEASE_S)
        with self._database.writing() as connection:
            _LEASES.create(connection, checkfirst=True)  # another log may stand in this one's place by now
            held = _held(connection, now).get(item)
            if held is not None and held.by != by:
                return held
            connection.execute(_LEASES.delete().where(sa.or_(_LEASES.c.by == by, _LEASES.c.item == item)))
            connection.execute(_LEASES.insert().values(item=item, by=by, until=mine.until))
        return mine

    def held(self, *, now: float | None = None) -> dict[str, Lease]:
        """Item -> its lease, of all that have not ended."""
        with self._database.reading() as connection:
            there = sa.inspect(connection).has_table(_LEASES.name)
            return _held(connection, time.time() if now is None else now) if there else {}


def _held(connection: Connection, now: float) -> dict[str, Lease]:
    rows = connection.execute(sa.select(_LEASES).where(_LEASES.c.until > now))
    return {row.item: Lease(item=row.item, by=row.by, until=row.until) for row in rows}
