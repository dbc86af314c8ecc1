"""A decision saved, and 10,000 read and folded: ours against the same insert without chain, check or provenance.

`python -m speed.audits [--events 10000] [--rounds 16]` prints one JSON line. `ours` is one decision compared, chained
and committed in a log of so many events, as the app does it; `floor` opens the same kind of SQLite file, inserts one
row and commits. Both leave after the disk has it. The `_ms` are wall time: the disk and a busy machine are in it.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from audits.events import draft_of
from audits.log import AuditLog
from audits.state import fold
from speed.rounds import compare, timed

SLOT_S = 0.05
SHOWN = {"page": "episodes", "value_model": "0" * 16, "miner": {"window_s": 0.8}, "frame_range": [0, 100], "why": "x"}


def measure(events: int, rounds: int, folder: Path) -> dict[str, Any]:
    """One line: CPU seconds a decision, wall time of the slowest ones, and what reading all of it costs."""
    log, bare = AuditLog(folder / "log.sqlite"), folder / "bare.sqlite"
    texts = (f"note {n}" for n in range(events))
    log.append_all([draft_of("episode.note", t, by="ada", value={"text": t}, shown=SHOWN) for t in texts])
    with closing(sqlite3.connect(bare, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body TEXT, hash TEXT)")
        connection.execute("PRAGMA journal_mode=WAL")
    walls: dict[str, list[float]] = {"ours": [], "floor": []}

    def decide() -> None:
        start = time.perf_counter()
        seen = log.head()[0]
        value = {"success": "failure"}
        log.append("episode.outcome", "e1", by="ada", value=value, shown=SHOWN, seconds=1.0, unchanged_since=seen)
        walls["ours"].append(time.perf_counter() - start)

    def insert() -> None:
        start = time.perf_counter()
        with closing(sqlite3.connect(bare, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("INSERT INTO events (body, hash) VALUES (?, ?)", ("x" * 400, "0" * 64))
        walls["floor"].append(time.perf_counter() - start)

    both = {"ours": lambda: timed(decide, slot_s=SLOT_S), "floor": lambda: timed(insert, slot_s=SLOT_S)}
    line = compare("a decision saved", events, both, rounds=rounds)
    start = time.perf_counter()
    fold(log.events())
    read_s = time.perf_counter() - start
    slow = {f"{n}_p{p}_ms": float(np.percentile(wall, p) * 1000) for n, wall in walls.items() for p in (50, 95)}
    return {**line, **slow, "all_read_and_folded_s": read_s}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description="Speed of the audit log, as ratios in one run.")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=16, help="the first is dropped")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments.events, arguments.rounds, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
