"""Out to the data contract of UniIntervene's authors: `transitions_000000.pkl`, one pickled `list[dict]` an episode.

Each transition has `observations` and `next_observations` with `external` (our camera `third`), `wrist` and `state`
(our `proprio`), `actions` (7,), `rewards`, `dones`, `masks`, `task_name`, `task_text`, `success`, where every actor is
known `intervened`, and where the value was computed `vf_value_pred`. Where no rewards were recorded, a success ends
with 1. `next_observations` of the last step is what was
seen at it: nothing later was recorded. `dones` is true at the last step, and `masks` 0 there where the episode really
ended. Contract: docs/DATA_FORMAT.md of the authors' release. The pickles hold plain NumPy arrays and numbers alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats import losses
from episodes.formats.exporting import EachByItself, Leaving
from episodes.images import decode
from episodes.record import ActionSource, Array, Episode, Outcome

VIEWS = {"external": "third", "wrist": "wrist"}
"""the authors' camera -> ours"""
ACTIONS = 7
"""six of the arm, and the gripper"""
PROTOCOL = 4
"""what every Python since 3.4 reads"""


class UniInterveneWriter(EachByItself):
    """One pickle an episode, numbered in the order they come."""

    def add(self, leaving: Leaving, episode: Episode) -> None:
        """Write one episode; `DataRefused` where the contract asks for what the episode has not."""
        lacking = next(_lacking(episode), None)
        if lacking is not None:
            what, remedy = lacking
            raise DataRefused(f"episode {leaving.episode_id} {what}, and the contract asks for it; {remedy}")
        self._next("transitions_{:06d}.pkl").write_bytes(
            pickle.dumps(_transitions(leaving, episode), protocol=PROTOCOL)
        )

    def lost(self, leaving: Leaving, episode: Episode) -> Iterator[losses.Loss]:
        """The contract has no times, two cameras, and of the curves the value."""
        yield from losses.of_arrays(episode, kept=("proprio", "reward"))
        yield from losses.of_what_is_known(episode, kept=("terminal",))
        yield from losses.of_actors(episode)
        yield from (("cameras", name) for name in episode.images if name not in VIEWS.values())
        yield from losses.of_pixels(episode, tuple(VIEWS.values()))
        yield from (("times of the steps, and their rate", name) for name in ("time_s", "fps"))
        kept = _columns(leaving, episode)
        yield from (("curves", name) for name in leaving.curves() if name != "value" or "vf_value_pred" not in kept)


def _lacking(episode: Episode) -> Iterator[tuple[str, str]]:
    """What forbids the episode, and what helps."""
    choose = "leave it out with --task or --session, or exclude it"
    for camera in VIEWS.values():
        if camera not in episode.images:
            yield f"has no camera {camera}", f"name it so with cameras in the mapping of the import, or {choose}"
    for name in ("proprio", "executed_action"):
        values = getattr(episode, name)
        if values is None or not np.isfinite(values).all():
            yield f"has steps without {name}", choose
    if episode.executed_action is not None and episode.executed_action.shape[1] != ACTIONS:
        yield f"has actions of {episode.executed_action.shape[1]} numbers and not {ACTIONS}", choose
    if episode.success is Outcome.UNKNOWN:
        yield "has no known outcome", "give it one (`regrasp label episodes`) and freeze it, or exclude the episode"


def _transitions(leaving: Leaving, episode: Episode) -> list[dict[str, Any]]:
    seen, last = _observations(episode), len(episode) - 1
    assert episode.executed_action is not None
    actions = np.asarray(episode.executed_action, np.float32)
    success = episode.success is Outcome.SUCCESS
    told = {"task_name": episode.task, "task_text": episode.instruction, "success": success}
    columns = _columns(leaving, episode)
    return [
        {
            "observations": seen[t],
            "actions": actions[t],
            "next_observations": seen[min(t + 1, last)],
            "rewards": float(success and t == last if episode.reward is None else episode.reward[t]),
            "masks": float(t < last or not episode.terminal),
            "dones": t == last,
            **told,
            **{name: values[t].item() for name, values in columns.items()},
        }
        for t in range(len(episode))
    ]


def _observations(episode: Episode) -> list[dict[str, Array]]:
    state = np.asarray(episode.proprio, np.float32)
    frames = {view: episode.images[camera] for view, camera in VIEWS.items()}
    return [
        {**{view: decode(f.frame(t), f.codec) for view, f in frames.items()}, "state": state[t]}
        for t in range(len(episode))
    ]


def _columns(leaving: Leaving, episode: Episode) -> dict[str, Array]:
    """(T,) each, of those that are known at every step."""
    columns = {}
    if ActionSource.UNKNOWN not in episode.action_source:
        columns["intervened"] = episode.action_source == ActionSource.HUMAN
    value = leaving.curves().get("value")
    if value is not None and len(value) == len(episode) and np.isfinite(value).all():
        columns["vf_value_pred"] = np.asarray(value, np.float64)
    return columns
