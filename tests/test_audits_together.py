"""Many people decide at once, and a server is killed: every decision is in the log or was said to be in conflict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from audits.log import AuditLog

ANNOTATOR = """
import json, random, sys
from audits.log import AuditLog
from episodes.errors import Conflict
path, name, count, items = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log, choice, seen = AuditLog(path), random.Random(name), 0
for number in range(count):
    item, value = f"e{choice.randrange(items)}", {"text": f"{name}-{number}"}
    if number % 3 == 0:
        seen = log.head()[0]
    while True:
        try:
            event = log.append("episode.note", item, by=name, value=value, shown={}, seconds=0, unchanged_since=seen)
            told = [event.seq, item, value["text"], "saved"]
        except Conflict:
            told = [seen, item, value["text"], "conflict"]
        print(json.dumps(told), flush=True)
        if told[3] == "saved":
            break
        seen = log.head()[0]
"""


def annotators(path: Path, count: int, each: int, items: int) -> list[subprocess.Popen[str]]:
    names = [f"p{number}" for number in range(count)]
    command = [sys.executable, "-c", ANNOTATOR, str(path)]
    return [
        subprocess.Popen([*command, name, str(each), str(items)], stdout=subprocess.PIPE, text=True) for name in names
    ]


@pytest.mark.parametrize(("people", "each", "items"), [(8, 25, 12), pytest.param(8, 1250, 200, marks=pytest.mark.slow)])
def test_nothing_is_lost_and_every_conflict_is_told(tmp_path: Path, people: int, each: int, items: int) -> None:
    path = tmp_path / "audits.sqlite"
    AuditLog(path)
    working = annotators(path, people, each, items)
    printed = [one.communicate()[0] for one in working]
    assert [one.returncode for one in working] == [0] * people
    told = [json.loads(line) for lines in printed for line in lines.splitlines()]
    log = AuditLog(path)
    assert log.verify() == people * each
    events = log.events()
    saved = {(seq, item, text) for seq, item, text, how in told if how == "saved"}
    assert saved == {(event.seq, event.item, event.value["text"]) for event in events}
    conflicts = [one for one in told if one[3] == "conflict"]
    assert conflicts
    for seen, item, text, _ in conflicts:
        mine = next(event for event in events if event.value["text"] == text)
        between = [event for event in events if event.item == item and seen < event.seq < mine.seq]
        assert between, "a conflict is told where somebody decided, and only there"


def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "audits.sqlite", 0
    AuditLog(path)
    for kill in range(5):
        (one,) = annotators(path, 1, 10_000, 50)
        assert one.stdout is not None
        told = [json.loads(one.stdout.readline()) for _ in range(3 + 7 * kill)]
        os.kill(one.pid, signal.SIGKILL)
        told += [json.loads(line) for line in one.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        one.wait()
        one.stdout.close()
        told = [each for each in told if each[3] == "saved"]
        acknowledged += len(told)
        log = AuditLog(path)
        assert acknowledged <= log.verify() <= acknowledged + kill + 1, "at most the one that was being written"
        texts = {event.seq: event.value["text"] for event in log.events()}
        assert [texts[seq] for seq, _, text, _ in told] == [text for _, _, text, _ in told]
