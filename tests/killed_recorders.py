"""A program of its own: recorders that are killed at random points, and what is there afterwards.

    python killed_recorders.py WORKSPACE RUNS SEED

Each run forks a recorder that records short episodes one after the other, and says what it has: a step once it is
appended, an episode once `finish` has returned its id. It is killed after a random time, SIGKILL, wherever it is then.
Afterwards every episode it told of must be there and whole, the running one must have every step it told of, and
nothing else may lie about. Prints the number of runs, episodes and recovered ones.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from test_robot_recorder import END, STEPS, record, step

from episodes.store import EpisodeStore
from robot_io.recorder import SessionRecorder, recover

LONGEST_S = 0.3


def child(root: Path, told: int, first: int) -> None:
    """Record until killed; every episode is another one."""
    with SessionRecorder(root, "s1") as recorder:
        shift = first * 1000.0
        while True:
            record(recorder, steps=1, shift=shift)
            for t in range(1, STEPS):
                recorder.step(step(t, shift=shift))
                os.write(told, b"step\n")
            if random.random() < 0.2:
                os.write(told, b"discard\n")
                recorder.discard()
            else:
                os.write(told, f"kept {recorder.finish(END)}\n".encode())
            shift += 1.0


def killed(root: Path, run: int) -> list[str]:
    """What a recorder told before it was killed."""
    heard, told = os.pipe()
    process = os.fork()
    if process == 0:
        random.seed(run)
        try:
            child(root, told, run)
        finally:
            os._exit(1)
    os.close(told)
    time.sleep(random.uniform(0.0, LONGEST_S))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with os.fdopen(heard) as lines:
        return lines.read().splitlines()


def main(root: Path, runs: int) -> None:
    """All runs on one workspace, as one session that goes on."""
    kept: set[str] = set()
    recovered = 0
    for run in range(runs):
        told = killed(root, run)
        mine = {line.removeprefix("kept ") for line in told if line.startswith("kept ")}
        found = recover(root)
        store = EpisodeStore(root)
        for each in mine:
            store.verify(each)
        kept |= mine
        for one in found:
            if one.episode_id is not None:
                recovered += 1
                kept.add(one.episode_id)
                assert store.attributes(one.episode_id)["length"] >= _open_steps(told), "a step that was told is lost"
        missing = kept - set(store.ids())
        assert not missing, f"run {run}: lost {missing}"
        left = [path for path in root.rglob("*") if path.suffix in {".tmp", ".rec", ".unreadable"}]
        assert not left, f"run {run}: {left}"
    print(f"{runs} runs, {len(kept)} episodes, {recovered} of them recovered")


def _open_steps(told: list[str]) -> int:
    """Steps told since the last episode was ended."""
    count = 0
    for line in told:
        count = count + 1 if line == "step" else 0
    return count


if __name__ == "__main__":
    random.seed(int(sys.argv[3]))
    main(Path(sys.argv[1]), int(sys.argv[2]))
