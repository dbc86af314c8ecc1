"""How late the arm's worker is beside a bare loop that only sleeps, in one run; needs a simulated controller.

    regrasp ursim --host 127.0.0.2 &
    python -m speed.robot 127.0.0.2

Both loops run at the same time, each in a process of its own, at absolute deadlines: so both meet the same machine.
One JSON line for each rate: p50, p99 and largest lateness of both, in ms, and the ratio of the p99.
"""

from __future__ import annotations

import json
import os
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np

from robot_io.ur.driver import UrArm
from robot_io.ur.link import LinkConfig
from robot_io.ur.messages import ArmState, from_row
from robot_io.ur.worker import WorkerConfig, paced

SECONDS, STEP_S = 30.0, 0.1
RATES_HZ = (125.0, 500.0)


def bare(period_s: float, seconds: float, told: Connection) -> None:
    """A loop at the same deadlines that does nothing; sends how late each of its cycles was."""
    late: list[float] = []
    end_s = time.monotonic() + seconds

    def cycle(now_s: float, late_s: float) -> str | None:
        late.append(late_s)
        return "over" if now_s > end_s else None

    paced(cycle, period_s, lambda: True)  # type: ignore[arg-type]
    told.send(late)


def measured(host: str, hertz: float) -> dict[str, object]:
    """Both loops for `SECONDS`."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=bare, args=(1.0 / hertz, SECONDS, theirs), daemon=True)
    late: list[float] = []
    with UrArm(WorkerConfig(link=LinkConfig(host=host, frequency_hz=hertz))) as arm:
        process.start()
        home, count = arm.state().pose, arm.states_since(0)[0]
        end_s = time.monotonic() + SECONDS
        while time.monotonic() < end_s:
            arm.follow(home + 0.01 * np.sin(2.0 * time.monotonic()) * np.eye(6)[0], STEP_S)
            time.sleep(STEP_S)
            count, rows = arm.states_since(count)
            late += [from_row(ArmState, row).late_s for row in rows]
    beside = ours.recv()
    process.join()
    line = {name: _told(sample) for name, sample in (("worker", late), ("bare", beside))}
    ratio = line["worker"]["p99_ms"] / line["bare"]["p99_ms"]
    return {"hertz": hertz, **line, "p99_ratio": round(ratio, 2), "load": os.getloadavg()[0]}


def _told(late: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(late, [50, 99]) * 1e3
    return {"cycles": len(late), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "max_ms": round(max(late) * 1e3, 1)}


if __name__ == "__main__":
    for rate in RATES_HZ:
        print(json.dumps(measured(sys.argv[1], rate)), flush=True)
