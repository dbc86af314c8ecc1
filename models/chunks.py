"""What a recovery policy is shown: situation, goal, and the chunk to write.

    hindsight   what a person did from here, towards where the same stretch came to (ours)
    retrieved   the chunk of the item that memory gives to a stuck state, towards that item's goal (UniIntervene's
                release: its policy learns to say again what was once done in a place like this)

Shapes: N chunks, H steps of a chunk, A action values, S situation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from episodes.record import ActionSource, Array
from models.dataset import StepData
from models.memory import RecoveryMemory
from models.recall import SituationEncoder, recall
from models.recovery import HORIZON, RecoveryConfig, driven, situations
from models.sampling import Draws


class Chunks(Protocol):
    """Examples to draw from."""

    @property
    def chunk(self) -> Tensor:
        """(N, H, A)"""
        ...

    @property
    def situation(self) -> Tensor:
        """(N, S)"""
        ...

    def draw(self) -> tuple[Tensor, Tensor]:
        """(B,) rows of a batch and their (B, S) goals."""
        ...


class HindsightChunks:
    """Chunks that people drove, drawn by the weight of their episode, each with a hindsight goal."""

    def __init__(self, episodes: Sequence[StepData], config: RecoveryConfig, generator: torch.Generator) -> None:
        found = [_whole_chunks(e) for e in episodes]
        offsets = np.cumsum([0, *(len(e) for e in episodes)])[:-1]
        rows = [(starts + o, stops + o) for (starts, stops), o in zip(found, offsets, strict=True)]
        self._start, self._stop = (torch.as_tensor(np.concatenate(column)) for column in zip(*rows, strict=True))
        self._steps = torch.as_tensor(np.concatenate([situations(e.proprio, e.proprio_names) for e in episodes]))
        actions = np.nan_to_num(np.concatenate([e.executed_action for e in episodes]))
        index = self._start.numpy()[:, None] + np.arange(HORIZON)
        self.chunk = torch.as_tensor(actions[index], dtype=torch.float32)
        self.situation = self._steps[self._start]
        weights = np.repeat([e.weight for e in episodes], [len(starts) for starts, _ in found])
        self._draws, self._generator, self._config = Draws(weights, generator), generator, config

    def draw(self) -> tuple[Tensor, Tensor]:
        """Rows and goals of one batch."""
        low, high = self._config.goal_steps
        row = self._draws(self._config.batch)
        ahead = torch.randint(low, high + 1, (self._config.batch,), generator=self._generator)
        return row, self._steps[torch.minimum(self._start[row] + ahead, self._stop[row] - 1)]


def with_chunks(episodes: Sequence[StepData], split: str) -> list[StepData]:
    """The episodes of a split in which a person drove a whole chunk."""
    return [e for e in driven(episodes, split) if len(_whole_chunks(e)[0])]


def _whole_chunks(episode: StepData) -> tuple[Array, Array]:
    """(starts, stops of their stretches): steps from which a person drove a whole chunk of known actions."""
    known = np.asarray(np.isfinite(episode.executed_action).all(axis=1))
    starts, stops = [], []
    for start, stop in episode.runs:
        if episode.source[start] == ActionSource.HUMAN:
            whole = [t for t in range(start, stop - HORIZON + 1) if known[t : t + HORIZON].all()]
            starts += whole
            stops += [stop] * len(whole)
    return np.array(starts, np.int64), np.array(stops, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A stuck state and what memory gave it."""

    split: str
    weight: float
    """of the episode"""
    situation: Array
    """(S,)"""
    goal: Array
    """(S,)"""
    chunk: Array
    """(H, A)"""


def answered(
    memory: RecoveryMemory,
    encoder: SituationEncoder,
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    stuck: Mapping[str, Array],
) -> Iterator[Answered]:
    """Every robot's step that `stuck` (episode_id -> (T,) 1, 0 or NaN) marks and memory has an answer to.

    No item of the same episode answers; test and calibration episodes ask nothing. `values`: episode_id -> (T,) V.
    """
    for episode in episodes:
        asking = episode.split in ("train", "validation") and episode.episode_id in values
        marked = (stuck[episode.episode_id] == 1) & (episode.source != ActionSource.HUMAN) if asking else []
        for t in np.flatnonzero(marked).tolist():
            value, name = float(values[episode.episode_id][t]), episode.episode_id
            found = recall(memory, encoder, episode.proprio[t], value, episode.task, exclude_episode=name)
            if found is not None and len(found.item.chunk) == HORIZON:
                situation = situations(episode.proprio[t : t + 1], episode.proprio_names)[0]
                yield Answered(
                    split=episode.split,
                    weight=episode.weight,
                    situation=situation,
                    goal=found.item.goal,
                    chunk=found.item.chunk,
                )


class RetrievedChunks:
    """What memory answered, drawn by the weight of the asking episode."""

    def __init__(self, found: Sequence[Answered], config: RecoveryConfig, generator: torch.Generator) -> None:
        columns = ([getattr(one, name) for one in found] for name in ("situation", "goal", "chunk"))
        self.situation, self._goal, self.chunk = (torch.as_tensor(np.stack(c), dtype=torch.float32) for c in columns)
        self._draws, self._batch = Draws(np.array([one.weight for one in found]), generator), config.batch

    def draw(self) -> tuple[Tensor, Tensor]:
        """Rows and goals of one batch."""
        row = self._draws(self._batch)
        return row, self._goal[row]
