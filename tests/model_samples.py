"""Small made-up episodes as models see them, and one set of models fitted to them for all tests that need some.

`depth` rises along a success and stands in a failure; every episode's numbers are its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from episode_samples import sample_frame

from episodes.images import encode_jpeg
from episodes.record import ActionSource, Array, EncodedFrames
from models.dataset import StepData
from models.intervention import InterventionConfig, InterventionModel, fit_intervention
from models.trigger import Trigger, TriggerConfig, fit_trigger
from models.value import ValueConfig, ValueCurves, ValueModel
from models.value_training import fit_value

FPS = 10.0
NAMES = ("tool/x", "depth", "speed", "priv/dx")
POLICY, RECOVERY, HUMAN, HOLD = (int(s) for s in list(ActionSource)[:4])
CONFIG = ValueConfig(cameras=(), steps=40, workers=1)
INTERVENTION = InterventionConfig(steps=20, batch=32)


def step_data(seed: int, *, success: bool | None = True, collection: str = "rollout", **changes: Any) -> StepData:
    """An episode of 24 to 31 steps. A failure stands still from its middle on; a takeover frees it."""
    random = np.random.default_rng(seed)
    steps = 24 + seed % 8
    source = np.full(steps, HUMAN if collection == "demo" else POLICY, np.uint8)
    depth = np.linspace(0, 1, steps)
    if success is False:
        depth = np.minimum(depth, 0.4)
    if collection == "takeover":
        source[steps - 9 :] = HUMAN
        depth = np.concatenate([np.minimum(3 * depth[: steps - 9], 0.4), np.linspace(0.4, 1, 9)])
    speed = np.gradient(depth) * FPS
    proprio = np.stack([depth, depth, speed, random.normal(size=steps)], 1) + random.normal(0, 0.01, (steps, 4))
    action = np.stack([speed, -speed], 1) + random.normal(0, 0.05, (steps, 2))
    pose = np.zeros((steps, 7))
    pose[:, 2], pose[:, 6] = 0.1 * depth, 1.0
    given: dict[str, Any] = {
        "episode_id": f"{seed:016x}",
        "group_id": f"g{seed}",
        "task": "insert",
        "session": "s1",
        "split": "train",
        "collection": collection,
        "policy_id": "" if collection == "demo" else "bc-1",
        "success": success,
        "fps": FPS,
        "weight": 1.0,
        "time_s": np.arange(steps) / FPS,
        "source": source,
        "proprio": proprio.astype(np.float32),
        "proprio_names": NAMES,
        "ee_pose": pose,
        "wrench": random.normal(0, 1, (steps, 6)).astype(np.float32),
        "executed_action": np.clip(action, -1, 1).astype(np.float32),
        "human_action": np.full((steps, 2), np.nan, np.float32),
        "frames": {},
    }
    return StepData(**(given | changes))


def frames(steps: int, seed: int = 0) -> EncodedFrames:
    """Small JPEG pictures, 16 by 24 pixels."""
    return EncodedFrames.pack([encode_jpeg(sample_frame(seed + t)) for t in range(steps)], "jpeg", 16, 24)


@cache
def episodes() -> tuple[StepData, ...]:
    """4 demonstrations, 14 successes, 6 failures, 4 takeovers to learn from; 3 test episodes; 1 of unknown outcome."""
    learned = [
        *(step_data(n, collection="demo") for n in range(4)),
        *(step_data(n, split="calibration" if n % 4 == 0 else "train") for n in range(4, 18)),
        *(step_data(n, success=False) for n in range(18, 24)),
        *(step_data(n, collection="takeover") for n in range(24, 28)),
    ]
    kept = [step_data(n, split="test", success=n != 30) for n in (28, 29, 30)]
    return (*learned, *kept, step_data(31, success=None))


def stagnation(episode: StepData) -> Array:
    """(T,) labels: 1 from the middle of a failure on and before a takeover."""
    labels = np.zeros(len(episode))
    if episode.success is False or episode.collection == "takeover":
        stop = int((episode.source == POLICY).sum())
        labels[stop // 2 : stop] = 1.0
    return labels


@dataclass(frozen=True)
class Fitted:
    """Models fitted to `episodes`."""

    value: ValueModel
    curves: dict[str, ValueCurves]
    labels: dict[str, Array]
    intervention: InterventionModel
    trigger: Trigger


@cache
def fitted() -> Fitted:
    """The models, trained for a moment; not to be changed."""
    data = episodes()
    value = fit_value(data, CONFIG)
    curves = {e.episode_id: value.curves(e) for e in data}
    labels = {e.episode_id: stagnation(e) for e in data}
    intervention = fit_intervention(data, labels, value, INTERVENTION, curves=curves, value_hash="v")
    trigger = fit_trigger(data, labels, value, intervention, TriggerConfig(), curves=curves, intervention_hash="i")
    return Fitted(value, curves, labels, intervention, trigger)


def flip(path: Any, place: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1
    path.write_bytes(bytes(data))
