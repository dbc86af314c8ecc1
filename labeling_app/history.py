"""The log as the pages read it: one moment of it at a time, going on from the last instead of from the beginning."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property

from audits.events import ROOT_HASH, Event
from audits.log import AuditLog, undone
from audits.state import AuditState, fold


@dataclass(frozen=True)
class Moment:
    """The log after its event `seq`."""

    events: tuple[Event, ...] = ()
    out: frozenset[int] = field(default_factory=frozenset)
    """the seqs that are out of force"""

    @property
    def seq(self) -> int:
        """The last event's place; 0 of an empty log."""
        return len(self.events)

    @property
    def hash(self) -> str:
        """The last event's hash."""
        return self.events[-1].hash if self.events else ROOT_HASH

    @cached_property
    def state(self) -> AuditState:
        """What was decided then."""
        return fold(self.events)

    def mine(self, by: str) -> list[Event]:
        """The standing decisions of one person, oldest first."""
        return [event for event in self.events if event.by == by and event.seq not in self.out]


class History:
    """What was read of a log, shared by the tabs of a server."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._moment = Moment()

    def now(self) -> Moment:
        """The log as it is now; only what is new is read."""
        with self._lock:
            if self._log.head() != (self._moment.seq, self._moment.hash):
                self._moment = self._after(self._moment)
            return self._moment

    def _after(self, known: Moment) -> Moment:
        last = self._log.events(after=known.seq - 1) if known.seq else []
        if not last or last[0].hash != known.hash:  # none was read yet, or another log stands in its place
            return _moment(tuple(self._log.events()))
        return _moment((*known.events, *last[1:]))


def _moment(events: tuple[Event, ...]) -> Moment:
    return Moment(events, frozenset(undone(events)))
