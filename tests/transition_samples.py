"""Pickles of transitions as HIL-SERL and UniIntervene's authors write them, small."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from episodes.formats.pickles import opening
from episodes.record import Array

Transition = dict[str, Any]


def observation(
    seed: int, *, cameras: Sequence[str] = ("wrist_1", "side_policy_256"), lead: tuple[int, ...] = (1,)
) -> Any:
    """Two pictures and an 11-D state, each behind the axes `lead`."""
    random = np.random.default_rng(seed)
    pixels = {name: random.integers(0, 255, (*lead, 8, 12, 3), dtype=np.uint8) for name in cameras}
    return {**pixels, "state": random.normal(size=(*lead, 11))}


def trajectory(seed: int, length: int, *, done: bool = True, **more: Any) -> list[Transition]:
    """One episode of HIL-SERL; `more` goes to `observation`."""
    seen = [observation(1000 * seed + t, **more) for t in range(length + 1)]
    actions = np.random.default_rng(seed).normal(size=(length, 7)).astype(np.float32)
    return [
        {
            "observations": seen[t],
            "actions": actions[t],
            "next_observations": seen[t + 1],
            "rewards": float(done and t == length - 1),
            "masks": 1.0 - (done and t == length - 1),
            "dones": done and t == length - 1,
        }
        for t in range(length)
    ]


def write(path: Path, content: Any, *, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def opened(path: Path, *, small: bool = False) -> list[opening.Step]:
    """What the process that opens pickles hands back of one."""
    with closing(opening.Opener()) as opener:
        return list(opener.steps(path, small=small))


def hil_serl(root: Path) -> tuple[Path, list[Array]]:
    """A folder with `buffer/` of 5, 5 and 4 transitions a file, and `demo_buffer/`; and (T,) the human steps.

    Three episodes of 4, 5 and 3 steps, and two steps of a fourth that goes on nowhere.
    """
    whole = [trajectory(1, 4), trajectory(2, 5, done=False), trajectory(3, 3), trajectory(4, 2, done=False)]
    human = [np.zeros(4, bool), np.array([0, 0, 1, 1, 0], bool), np.array([1, 0, 0], bool), np.zeros(2, bool)]
    steps = [step for episode in whole for step in episode]
    taken = [step for step, flag in zip(steps, np.concatenate(human), strict=True) if flag]
    for number, start, stop in ((5, 0, 5), (10, 5, 10), (100, 10, 14)):
        write(root / "buffer" / f"transitions_{number}.pkl", steps[start:stop])
    for number, copies in ((5, []), (10, taken[:2]), (100, taken[2:])):
        write(root / "demo_buffer" / f"transitions_{number}.pkl", copies)
    return root, human


def authors_episode(seed: int, length: int, *, success: bool, **more: Any) -> list[Transition]:
    """One episode file of UniIntervene's authors."""
    cameras = {"cameras": ("external", "wrist"), "lead": ()}
    told = {"task_name": "Fold the towel.", "success": success, **more}
    return [{**step, **told} for step in trajectory(seed, length, **cameras)]
