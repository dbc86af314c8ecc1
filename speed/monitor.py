"""The monitor: seconds of one decision, and frames a second where V is made anew from latents that are kept.

`python -m speed.monitor [--cameras 1] [--rounds 16]` prints two JSON lines. The nets are untrained, four of each, with
64-pixel frames: what they answer does not change how long it takes. The floor of both is the four nets' value heads
alone.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch

from models.intervention import InterventionConfig, InterventionModel, InterventionNet
from models.monitoring import MonitorStream
from models.stall import StallHead
from models.trigger import Trigger, TriggerConfig
from models.value import ValueConfig, ValueModel, progress_net
from speed.rounds import Seconds, compare, timed

NAMES, ACTIONS, FPS, NETS, FRAMES, SLOT_S = tuple(f"p{i}" for i in range(25)), 7, 10.0, 4, 2_000, 0.05


def models(cameras: int) -> tuple[ValueModel, InterventionModel, Trigger]:
    """A value, an intervention model and a trigger that fit one another."""
    torch.set_num_threads(1)
    config = ValueConfig(cameras=("third", "wrist")[:cameras])
    nets = [progress_net(config, NAMES).eval() for _ in range(NETS)]
    heads = [StallHead().eval() for _ in nets]
    value = ValueModel(config, NAMES, nets, heads, {}, FPS, 6.0, 0.5, 0.1)
    latent = nets[0].latent_size
    parts = [InterventionNet(latent, ACTIONS).eval() for _ in nets]
    intervention = InterventionModel(InterventionConfig(), parts, latent, ACTIONS, "v")
    trigger = Trigger(config=TriggerConfig(), median_steps=60.0, cusum_threshold=0.5, probability_threshold=0.5,
                      threshold=1.5, early_threshold=1.0, calibration_episodes=40, alarm_rate=0.1, policy_ids=("bc",),
                      value_hash="v", intervention_hash="i")  # fmt: skip
    return value, intervention, trigger


def decision(cameras: int, rounds: int) -> dict[str, Any]:
    """One decision: frames, proprio and action in, alarm out."""
    value, intervention, trigger = models(cameras)
    stream, rng = MonitorStream(value, intervention, trigger, NAMES), np.random.default_rng(0)
    frames = rng.integers(0, 255, (cameras, 64, 64, 3), dtype=np.uint8) if cameras else None
    proprio, action, place = rng.normal(size=25), rng.normal(size=ACTIONS), np.zeros(3)
    latent = torch.zeros(1, value.nets[0].latent_size)
    candidates: dict[str, Seconds] = {
        "ours": lambda: timed(lambda: stream.update(proprio, frames, place, 1.0, action), slot_s=SLOT_S),
        "floor": lambda: timed(lambda: _heads(value, latent), slot_s=SLOT_S),
    }
    return compare("one decision of the monitor", cameras, candidates, rounds=rounds)


def kept_latents(cameras: int, rounds: int) -> dict[str, Any]:
    """V of 2,000 frames by four nets, from latents that are kept."""
    value, _, _ = models(cameras)
    latents = torch.randn(FRAMES, value.nets[0].latent_size)
    candidates: dict[str, Seconds] = {"ours": lambda: timed(lambda: _heads(value, latents), slot_s=SLOT_S)}
    line = compare("V from kept latents", FRAMES, candidates, rounds=rounds)
    return line | {"frames_per_s": FRAMES / line["ours_median"]}


@torch.no_grad()
def _heads(value: ValueModel, latents: torch.Tensor) -> None:
    for net in value.nets:
        net.progress(latents)


def main() -> None:
    """Print both lines."""
    parser = argparse.ArgumentParser(description="Speed of the monitor and of a value made anew.")
    parser.add_argument("--cameras", type=int, choices=(0, 1, 2), default=2)
    parser.add_argument("--rounds", type=int, default=16, help="the first is dropped")
    arguments = parser.parse_args()
    for measure in (decision, kept_latents):
        print(json.dumps(measure(arguments.cameras, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
