"""Kill -9 of the driver's worker and of the whole program, at random moments of sessions on a simulated controller.

    regrasp ursim --host 127.0.0.2 &
    python -m speed.killed 127.0.0.2 200

Half a minute a run. After each kill: the arm stands, no process is left, every episode that was committed before is
there and whole, and the next session goes on. One JSON line a run and one at the end; the exit code is 1 where anything
was lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from episodes.store import EpisodeStore
from robot_io.ursim.cell_client import CellClient

LONGEST_S = 25.0
SETTLES_S, LEAVES_S = 5.0, 30.0


def children(pid: int) -> list[int]:
    """Of a process, at any depth."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if Path(f"/proc/{pid}").exists() else []
    return [int(text) for text in found] + [each for text in found for each in children(int(text))]


def remaining(pids: list[int]) -> list[int]:
    """Those that are there after `LEAVES_S`: one that was importing notices late that its command is gone."""
    end_s = time.monotonic() + LEAVES_S
    while time.monotonic() < end_s and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.2)
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def started(host: str, root: Path, seed: int) -> subprocess.Popen[bytes]:
    """A session of many episodes, of another seed each time."""
    options = ["--robot", "ur", "--host", host, "--episodes", "50", "--seed", str(seed), "--session", "killed"]
    command = [sys.executable, "-m", "pipelines", "collect", *options, "--root", str(root)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(host: str, root: Path, number: int, random: np.random.Generator) -> dict[str, Any]:
    """One session, killed; what was lost."""
    before = set(EpisodeStore(root).ids()) if (root / "workspace.json").exists() else set()
    process = started(host, root, 1000 * number)
    after_s = float(random.uniform(2.0, LONGEST_S))
    time.sleep(after_s)
    below = children(process.pid)
    whom = str(random.choice(["main", "session", "worker"]))
    pids = {"main": process.pid, "session": below[1] if len(below) > 1 else process.pid, "worker": (below or [0])[-1]}
    if process.poll() is None:
        os.kill(pids[whom] or process.pid, signal.SIGKILL)
    if whom != "main":
        time.sleep(SETTLES_S)
        process.send_signal(signal.SIGTERM)
    process.wait()
    time.sleep(SETTLES_S)
    store = EpisodeStore(root)
    there = set(store.ids()) if (root / "workspace.json").exists() else set()
    for episode_id in there:
        store.verify(episode_id)
    with closing(CellClient(host)) as cell:
        moving = cell.still_s() < 0.3
    left = remaining(below)
    return {
        "run": number,
        "killed": whom,
        "after_s": round(after_s, 1),
        "episodes": len(there),
        "lost": len(before - there),
        "left": len(left),
        "moving": moving,
    }


def main(host: str, runs: int) -> int:
    """A line a run, as it ends; 1 where anything was lost, left or moving."""
    draws = np.random.default_rng(7)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for number in range(runs):
            line = killed(host, Path(place), number, draws)
            print(json.dumps(line), flush=True)
            found.update({name: int(line[name]) for name in ("lost", "left", "moving")})
    print(json.dumps({"runs": runs, **found}))
    return int(found.total() > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
