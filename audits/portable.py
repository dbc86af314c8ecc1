"""The log as JSON lines: one event a line with its hash, so that an export is checked by itself and read by eye."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from audits.events import ROOT_HASH, Event, canonical, chain, parse
from audits.log import AuditLog
from episodes.errors import DataRefused, IntegrityError


def export_lines(log: AuditLog, path: Path) -> int:
    """Verify the log, write every event to `path`, and return their number."""
    log.verify()
    events = log.events()
    path.write_text("".join(canonical(asdict(event)) + "\n" for event in events), encoding="utf-8")
    return len(events)


def import_lines(log: AuditLog, path: Path) -> int:
    """Continue `log`, which must be empty or a beginning of the export, and return how many events were new.

    Raises `IntegrityError` naming the first line whose hash does not fit; nothing is written then.
    """
    return log.restore(read_lines(path))


def read_lines(path: Path) -> list[Event]:
    """The events of an export, each checked against the one before."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{path} is no readable export of an audit log ({error}); export it again") from error
    events: list[Event] = []
    lines = [] if lines == [""] else lines
    for number, line in enumerate(lines, start=1):
        event = _parse_line(path, number, line)
        previous = events[-1].hash if events else ROOT_HASH
        if event.seq != number or event.hash != chain(previous, event.body):
            raise IntegrityError(f"{path} line {number} is not the event that was exported; export the log again")
        events.append(event)
    return events


def _parse_line(path: Path, number: int, line: str) -> Event:
    try:
        stored = json.loads(line)
        digest = str(stored.pop("hash"))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise IntegrityError(f"{path} line {number} is no event of an audit log; export the log again") from error
    return parse(number, canonical(stored), digest)
