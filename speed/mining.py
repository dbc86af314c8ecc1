"""Label mining: our blocked NumPy against the seed blog's loop, and against copying the curve once.

`python -m speed.mining [--steps N ...] [--rounds 16]` prints one JSON line for each N. One process, one thread; each
round runs ours, peer and floor in turn for 10 ms at least. Round 0 is dropped; published is the median of the rounds'
ratios with a bootstrap 95 % interval. Labels must be equal bit for bit before anything is timed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.curve import Curve
from models.mining import mine_seed_rule
from speed.rounds import Seconds, compare, timed

SLOT_S = 0.01


def seed_loop(values: Sequence[float], k: int = 8, epsilon: float = 0.005) -> list[bool]:
    """The seed rule as its blog runs it: one window of Python floats at a time."""
    labels = [False] * len(values)
    for t in range(k, len(values)):
        window = values[t - k : t + 1]
        gains = [window[i] - window[i - 1] for i in range(1, len(window))]
        shortfall = sum(max(0.0, epsilon - gain) for gain in gains)
        plateau = max(window) - min(window) < 0.03
        decline = sum(gain < 0 for gain in gains) >= k // 2
        labels[t] = shortfall > 0.04 and (plateau or decline)
    return labels


def value_curve(steps: int) -> Curve:
    """Rising, stalling and falling stretches with noise, between 0 and 1, so that every branch of the rule is taken."""
    rng = np.random.default_rng(0)
    speed = np.repeat(rng.choice([0.01, 0.0, -0.004], steps // 25 + 1), 25)[:steps]
    return np.abs(np.mod(np.cumsum(speed + rng.normal(0, 0.002, steps)), 2.0) - 1.0)


def measure(steps: int, rounds: int) -> dict[str, Any]:
    """One line of the table: seconds a call and ratios at `steps` values."""
    curve = value_curve(steps)
    as_list = curve.tolist()
    if mine_seed_rule(curve).tolist() != seed_loop(as_list):
        raise SystemExit("our labels differ from the loop's; a fast wrong answer is no answer")
    candidates: dict[str, Seconds] = {
        "ours": lambda: timed(lambda: mine_seed_rule(curve), slot_s=SLOT_S),
        "peer": lambda: timed(lambda: seed_loop(as_list), slot_s=SLOT_S),
        "floor": lambda: timed(curve.copy, slot_s=SLOT_S),
    }
    positive_rate = float(mine_seed_rule(curve).mean())
    return compare("label mining, seed rule", steps, candidates, rounds=rounds, positive_rate=positive_rate)


def main() -> None:
    """Print one JSON line for each number of steps."""
    parser = argparse.ArgumentParser(description="Speed of label mining, as ratios in one run.")
    parser.add_argument("--steps", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=16, help="the first is dropped")
    arguments = parser.parse_args()
    for steps in arguments.steps:
        print(json.dumps(measure(steps, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
