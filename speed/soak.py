"""Ten minutes of recording over the wire with both cameras: policy ticks that were missed, and how memory grows.

    regrasp ursim --host 127.0.0.2 &
    python -m speed.soak 127.0.0.2 600

The scripted person demonstrates, episode after episode. A line an episode, and one at the end: missed ticks, and the
slope of the memory of this process and of the worker in MB a minute, over all but the first episode.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np

from episodes.workspace import Workspace
from robot_io.clock import RealClock
from robot_io.collect import collect_session
from robot_io.sim import ScriptedHuman
from robot_io.ursim.robot import WiredRobot
from speed.killed import children

TASK, CAMERAS = "tube_insertion", ("third", "wrist")


def memory_mb() -> float:
    """Resident, of this process and all below it."""
    pages = sum(_pages(pid) for pid in (os.getpid(), *children(os.getpid())))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0


def main(host: str, seconds: float) -> None:
    """Record until the time is over."""
    started_s, lines = time.monotonic(), []
    with tempfile.TemporaryDirectory() as place, closing(WiredRobot(host, TASK, cameras=CAMERAS)) as robot:
        workspace, human = Workspace.open(Path(place), create=True), ScriptedHuman(robot, 1, demo=True)
        clock = RealClock(robot.controller_s, robot.wait)
        for seed in count():
            (summary,) = collect_session(workspace, "soak", robot, [seed], collection="demo", teleop=human, clock=clock)
            line = {"t_s": round(time.monotonic() - started_s, 1), "steps": summary.steps, "missed": clock.missed}
            lines.append(line | {"memory_mb": round(memory_mb(), 1), "fault": summary.fault})
            print(json.dumps(lines[-1]), flush=True)
            if summary.fault or line["t_s"] > seconds:
                break
    print(json.dumps(_told(lines)))


def _told(lines: list[dict[str, object]]) -> dict[str, object]:
    minutes, memory = (np.array([line[name] for line in lines[1:]], float) for name in ("t_s", "memory_mb"))
    slope = float(np.polyfit(minutes / 60.0, memory, 1)[0]) if len(memory) > 1 else float("nan")
    sums = {name: sum(int(str(line[name])) for line in lines) for name in ("steps", "missed")}
    return {"episodes": len(lines), **sums, "memory_mb_a_minute": round(slope, 2), "load": os.getloadavg()[0]}


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
