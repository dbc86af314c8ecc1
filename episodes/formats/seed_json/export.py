"""Out to the layout of `seed_json`: `episode_000000/episode.json`, and its frames, byte for byte, in `frames/` beside.

Kept: task, instruction, outcome, rate, frames, `ee_pose`, executed action, and whether a person acted. The layout
counts steps and has no times; recovery and hold become "no person"; nothing else has a place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats import losses
from episodes.formats.exporting import EachByItself, Leaving, as_json, rate_of
from episodes.record import ActionSource, Episode


class SeedJsonWriter(EachByItself):
    """One directory an episode, numbered in the order they come."""

    def add(self, leaving: Leaving, episode: Episode) -> None:
        """Write one episode; `DataRefused` where an action is NaN, which JSON cannot say."""
        for name in ("ee_pose", "executed_action"):
            array = getattr(episode, name)
            if array is not None and not np.isfinite(array).all():
                what = f"episode {leaving.episode_id} has steps without {name}, which JSON cannot say"
                raise DataRefused(f"{what}; export it to lerobot-v3 instead")
        folder = self._next("episode_{:06d}")
        (folder / "frames").mkdir(parents=True)
        steps = _steps(episode)
        for camera, frames in episode.images.items():
            for t, step in enumerate(steps):
                name = f"frames/{camera}_{t:06d}.{'jpg' if frames.codec == 'jpeg' else 'png'}"
                (folder / name).write_bytes(frames.frame(t))
                step[f"{camera}_rgb"] = name
        seed = {
            "task": episode.task,
            "instruction": episode.instruction,
            "success": episode.success.as_bool(),
            "fps": as_json(rate_of(episode)),
            "steps": steps,
        }
        text = json.dumps(seed, allow_nan=False, separators=(",", ":"))
        (folder / "episode.json").write_text(text, encoding="utf-8")

    def lost(self, leaving: Leaving, episode: Episode) -> Iterator[losses.Loss]:
        """Steps are counted, at one rate; of the actors the layout knows a person and the policy."""
        yield from losses.of_arrays(episode, kept=("ee_pose",))
        yield from losses.of_what_is_known(episode)
        yield from losses.of_actors(episode)
        if episode.time_derivation != "declared rate":
            yield "times of the steps, which become step / rate", episode.time_derivation
        yield from (("curves", name) for name in leaving.curves())


def _steps(episode: Episode) -> list[dict[str, Any]]:
    """One entry a step; a key that the episode does not know is left out of all of them."""
    steps: list[dict[str, Any]] = [{"t": t} for t in range(len(episode))]
    human = episode.action_source == ActionSource.HUMAN
    known = ActionSource.UNKNOWN not in episode.action_source
    for key, values in (
        ("ee_pose", episode.ee_pose),
        ("action", episode.executed_action),
        ("human_intervene", human if known else None),
    ):
        if values is not None:
            for step, value in zip(steps, values.tolist(), strict=True):
                step[key] = value
    return steps
