"""How speed is measured: candidates take turns in one process, and what is published are the ratios within a round.

Absolute seconds say what the machine was doing; a ratio of two runs that stood side by side says something of the code.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics import bootstrap_interval

Seconds = Callable[[], float]
"""runs one round of a candidate and says how many CPU seconds a unit of its work took"""
Sample = npt.NDArray[np.float64]


def compare(stage: str, n: int, candidates: Mapping[str, Seconds], *, rounds: int, **told: Any) -> dict[str, Any]:
    """One line of the table: the candidates `ours`, `floor` and the peers (any other names) in turn.

    The first round is dropped. A peer's ratio says how many times faster ours is, the floor's how many floors ours
    takes; both are medians of the rounds' ratios with a bootstrap 95 % interval.
    """
    load_before = os.getloadavg()[0]
    taken = {name: np.empty(rounds) for name in candidates}
    for k in range(rounds):
        for name, run in candidates.items():
            taken[name][k] = run()
    seconds = {name: sample[1:] for name, sample in taken.items()}
    line = {"stage": stage, "n": n, "rounds": rounds - 1, **told}
    line |= {f"{name}_median": float(np.median(sample)) for name, sample in seconds.items()}
    for name, sample in seconds.items():
        if name != "ours":
            ratios = seconds["ours"] / sample if name == "floor" else sample / seconds["ours"]
            line[f"ratio_vs_{name}"] = float(np.median(ratios))
            line[f"ci95_vs_{name}"] = list(bootstrap_interval(ratios, _median))
    return line | {
        "cpu": platform.processor() or platform.machine(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "h5py")}},
    }


def timed(run: Callable[[], object], *, slot_s: float = 0.0) -> float:
    """CPU seconds a call, over calls that fill `slot_s`: one short call after a long one would time the cold caches.

    Of this process and of the children it has waited for. What is measured waits for nothing but `fsync`, so on an
    idle machine this is the time on the wall; on a busy one it does not count what the others do.
    """
    start, calls, elapsed = _cpu_s(), 0, 0.0
    while not calls or elapsed < slot_s:
        run()
        calls += 1
        elapsed = _cpu_s() - start
    return elapsed / calls


def _cpu_s() -> float:
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def _median(sample: Sample) -> float:
    return float(np.median(sample))
