"""A release over the wire beside the same release in the direct simulation: equal seeds, one difference of successes.

    regrasp ursim --host 127.0.0.2 &
    python -m speed.paired WORKSPACE 127.0.0.2 30

WORKSPACE has a release of tube insertion that is champion on `sim` and on `ur`; two sessions are added to it, and a
second call goes on where the first stopped. Both are what `regrasp deploy` does, the scripted person included. A safety
stop is a failure; the arm is then brought back as a person would. A quarter of an hour on an idle machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from episodes.record import Outcome
from episodes.store import EpisodeStore
from models.metrics import bootstrap_interval
from robot_io.ur.dashboard import Dashboard
from robot_io.ur.recovery import recover

FIRST_SEED = 70_000
STOPPED = 6


def deployed(root: Path, session: str, episodes: int, *robot: str) -> int:
    """The exit code of one call."""
    wanted = ["--session", session, "--episodes", str(episodes), "--seed", str(FIRST_SEED)]
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "deploy", *robot, *wanted, "--root", str(root)]
    ).returncode


def over_the_wire(root: Path, session: str, episodes: int, host: str) -> None:
    """Until the session is whole; after each safety stop from the next episode on."""
    for _ in range(episodes + 1):
        if deployed(root, session, episodes, "--robot", "ur", "--host", host) != STOPPED:
            return
        with Dashboard(host) as dashboard:
            recover(dashboard, lambda question: True, time.sleep)


def seen(root: Path, session: str) -> tuple[dict[int, bool], Counter[str]]:
    """Seed -> success; what happened."""
    store, happened = EpisodeStore(root), Counter[str]()
    successes = {}
    for episode_id in store.ids(session=session):
        episode = store.read(episode_id, images=False)
        successes[int(episode.collected_by["seed"])] = episode.success is Outcome.SUCCESS
        happened["steps"] += len(episode.time_s)
        for event in episode.events:
            if event["kind"] in ("takeover", "trigger", "fault", "recovery_end"):
                happened[
                    " ".join([event["kind"], event["reason"]]) if event["kind"] == "recovery_end" else event["kind"]
                ] += 1
    return successes, happened


def main(root: Path, host: str, episodes: int) -> None:
    """A line for each robot, and the difference with its 95 % interval, in points."""
    deployed(root, "paired-direct", episodes)
    over_the_wire(root, "paired-wired", episodes, host)
    (direct, of_direct), (wired, of_wired) = seen(root, "paired-direct"), seen(root, "paired-wired")
    both = sorted(direct.keys() & wired.keys())
    for name, successes, happened in (("direct", direct, of_direct), ("wired", wired, of_wired)):
        print(json.dumps({"robot": name, "episodes": len(successes), "successes": sum(successes.values()), **happened}))
    points = 100.0 * np.array([float(wired[seed]) - float(direct[seed]) for seed in both])
    low, high = bootstrap_interval(points)
    print(json.dumps({"pairs": len(both), "difference_points": round(float(points.mean()), 1), "ci95": [low, high]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
