"""What the online learner remembers: n-step transitions in fixed memory.

    R_n = sum_{j < k} gamma^j r_{t+j},   g = gamma^k, or 0 where the episode ended for good within the k steps

k is n, or less where the window meets a change of driver or the episode's end: what a person made of a jam is not
credited to the action that jammed. A window that meets a time-out goes on from the last observation there is; the
last step of such an episode has none after it and is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from episodes.errors import IntegrityError, UsageError


@dataclass(frozen=True, slots=True)
class Batch:
    """B transitions."""

    observation: Tensor
    """(B, D)"""
    action: Tensor
    """(B, A)"""
    reward: Tensor
    """(B,) n-step return R_n"""
    discount: Tensor
    """(B,) g, what the next observation's value counts"""
    next_observation: Tensor
    """(B, D)"""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row; observations (D,), action (A,)."""

    observation: Tensor
    action: Tensor
    driver: int
    reward: float
    discount: float
    next_observation: Tensor


@dataclass(slots=True, kw_only=True)
class NStep:
    """The steps of the running episode whose windows are still open."""

    steps: int = 3
    gamma: float = 0.97
    _open: deque[tuple[Tensor, Tensor, int]] = field(default_factory=deque)

    def push(self, observation: Tensor, action: Tensor, driver: int) -> list[Transition]:
        """Take one step; the transitions whose windows end at its observation."""
        changed = bool(self._open) and self._open[-1][2] != driver
        done = []
        while self._open and (changed or len(self._open) == self.steps):
            done.append(self._close(observation))
        self._open.append((observation, action, driver))
        return done

    def end(self, success: bool, *, terminal: bool) -> list[Transition]:
        """End the episode: for good (`terminal`), or because time ran out."""
        done = []
        last = self._open[-1][0] if self._open else torch.empty(0)
        if not terminal and self._open:
            self._open.pop()
        while self._open:
            reward = self.gamma ** (len(self._open) - 1) if success else 0.0
            done.append(self._close(last, reward=reward, terminal=terminal) if terminal else self._close(last))
        return done

    def _close(self, next_observation: Tensor, *, reward: float = 0.0, terminal: bool = False) -> Transition:
        discount = 0.0 if terminal else self.gamma ** len(self._open)
        observation, action, driver = self._open.popleft()
        return Transition(observation, action, driver, reward, discount, next_observation)


class Replay:
    """Up to `capacity` transitions, one row of one matrix each, so that a batch is one gather; the oldest go first."""

    def __init__(self, capacity: int, observation: int, actions: int) -> None:
        self._sizes = [observation, actions, 1, 1, observation]
        self._rows = torch.zeros(capacity, sum(self._sizes))
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._rows))

    def add(self, transition: Transition) -> None:
        """Remember one."""
        numbers = torch.tensor([transition.reward, transition.discount])
        row = torch.cat([transition.observation, transition.action, numbers, transition.next_observation])
        self._rows[self._added % len(self._rows)] = row
        self._added += 1

    def rewind(self, count: int) -> None:
        """Forget all but the first `count` transitions; only while none had to go to make room."""
        assert count <= self._added <= len(self._rows), "what was overwritten does not come back"
        self._added = count

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, -) rows at random, with replacement; `batch` says what is in them."""
        if not self._added:
            raise UsageError("the replay buffer is empty; record demonstrations before learning from it")
        return self._rows[torch.randint(len(self), (count,), generator=generator)]

    def batch(self, rows: Tensor) -> Batch:
        """The parts of rows (B, -), as views."""
        observation, action, reward, discount, next_observation = rows.split(self._sizes, dim=1)
        return Batch(observation, action, reward.squeeze(1), discount.squeeze(1), next_observation)

    def everything(self) -> Batch:
        """All transitions, in the order of the memory."""
        return self.batch(self._rows[: len(self)])

    def state(self) -> dict[str, Tensor]:
        """The memory, by name."""
        return {"rows": self._rows[: len(self)], "added": torch.tensor(self._added)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave; `IntegrityError` where it does not fit."""
        rows = tensors["rows"]
        if rows.shape[1] != self._rows.shape[1] or len(rows) > len(self._rows):
            raise IntegrityError(f"a replay of {tuple(rows.shape)} does not fit {tuple(self._rows.shape)}; begin anew")
        self._rows[: len(rows)] = rows
        self._added = int(tensors["added"])
