"""The recovery memory: from being stuck here, which better state has been reached before from a place like this?

An item holds the features of a state (key), those of a later and better state of the same rollout (goal), and the
actions that were taken from the key on. Retrieval is exact: the cosine of the query with every key of the task, in
float32, one matrix-vector product; at the paper's 120 to 240 items that takes microseconds. Above a fixed number of
keys, which the manifest records, an index names the candidates and the cosine is taken of those (`models.nearest`).

On disk: `items.safetensors` (arrays) and `memory.json` (ids, encoder, hashes). A key means something only to the
encoder that made it, so another encoder is refused, and so is any changed byte.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused, IntegrityError, UsageError
from episodes.workspace import atomic_write
from models.curve import Flags
from models.nearest import EXACT_UP_TO, Neighbours
from models.sealed import unseal, write_sealed

ARRAYS, MANIFEST, SCHEMA_VERSION = "items.safetensors", "memory.json", 1
SCALARS = ("t", "goal_t", "value", "goal_value")
VECTORS = ("key", "goal", "chunk")
DECIMALS = 6
"""of a similarity: the next ones of a float32 sum differ by row and by machine, and would decide ties"""

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryItem:
    """A state, a better one reached later in the same rollout, and the first actions on the way."""

    task: str
    episode_id: str
    t: int
    """step of the key"""
    goal_t: int
    """step of the goal, later"""
    key: Features
    """(D,) features of the state at t"""
    goal: Features
    """(G,) features of the state at goal_t"""
    value: float
    """V at t"""
    goal_value: float
    """V at goal_t"""
    chunk: Features
    """(H, A) executed actions from t on"""

    @property
    def item_id(self) -> str:
        """`<episode>:<t>><episode>:<goal_t>`"""
        return f"{self.episode_id}:{self.t}>{self.episode_id}:{self.goal_t}"


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One answer of the memory."""

    item: MemoryItem
    similarity: float
    """cosine of query and key, -1 to 1"""


@dataclass(frozen=True, slots=True)
class _TaskKeys:
    """What a query of one task is compared with, row for row."""

    items: tuple[MemoryItem, ...]
    unit_keys_ND: Features
    near: Neighbours
    goal_values: npt.NDArray[np.float64]
    episodes: npt.NDArray[np.str_]
    alive: Flags


class RecoveryMemory:
    """Items of all tasks of a model; immutable."""

    def __init__(
        self, items: Sequence[MemoryItem], encoder_id: str, removed: frozenset[str], exact_up_to: int = EXACT_UP_TO
    ) -> None:
        self.items = tuple(items)
        self.encoder_id = encoder_id
        self.removed = removed
        """ids of items, present or not, that must never be retrieved"""
        self.exact_up_to = exact_up_to
        """keys of a task up to which every one is compared"""
        by_task: dict[str, list[MemoryItem]] = {}
        for item in self.items:
            by_task.setdefault(item.task, []).append(item)
        self._tasks = {task: _task_keys(own, removed, exact_up_to) for task, own in sorted(by_task.items())}

    @classmethod
    def build(cls, items: Iterable[MemoryItem], encoder_id: str) -> RecoveryMemory:
        """Memory of `items`, whose features `encoder_id` made; none is fine. DataRefused on unequal or bad features."""
        checked = [_checked(item) for item in items]
        for name in VECTORS:
            shapes = sorted({getattr(item, name).shape for item in checked})
            if len(shapes) > 1:
                raise DataRefused(
                    f"{name} of the memory's items has shapes {shapes}; build it with one encoder and robot"
                )
        ids = [(item.task, item.item_id) for item in checked]
        if len(set(ids)) < len(ids):
            twice = next(one for one, count in Counter(ids).items() if count > 1)
            raise DataRefused(f"memory item {twice[1]} of task {twice[0]} is given twice; mine each episode once")
        return cls(checked, encoder_id, frozenset())

    def __len__(self) -> int:
        return len(self.items)

    def without(self, ids: Iterable[str]) -> RecoveryMemory:
        """The same memory, in which items with these ids are never retrieved; saved with it, so it can be audited."""
        return RecoveryMemory(self.items, self.encoder_id, self.removed | frozenset(ids), self.exact_up_to)

    def retrieve(
        self,
        query: npt.ArrayLike,
        k: int,
        task: str,
        *,
        exclude_episode: str | None = None,
        min_value: float | None = None,
        min_similarity: float | None = None,
    ) -> list[Retrieved]:
        """The `k` items of `task` most similar to `query` (D,), best first, ties in the order of building.

        `exclude_episode` leaves out that episode's items (the query's own, when judging), `min_value` those whose goal
        is worth less, `min_similarity` those less similar; what just reaches either is kept. Nothing left gives an
        empty list: then a person is asked. DataRefused where the query is not finite, zero, or not of the keys' size.
        """
        if k < 1:
            raise UsageError(f"k is {k}; ask for one item or more")
        keys = self._tasks.get(task)
        if keys is None:
            return []
        unit = _unit(query, keys.unit_keys_ND.shape[1])
        allowed = keys.alive
        if exclude_episode is not None:
            allowed = allowed & (keys.episodes != exclude_episode)
        if min_value is not None:
            allowed = allowed & (keys.goal_values >= min_value)
        rows = keys.near.candidates(unit)
        rows = rows[allowed[rows]]
        if len(rows) < k and not keys.near.is_exact:  # the index knows no filter: then every key is compared
            rows = keys.near.every[allowed]
        near = keys.unit_keys_ND if len(rows) == len(keys.items) else keys.unit_keys_ND[rows]
        similarity = np.round(near @ unit, DECIMALS)
        if min_similarity is not None:
            rows, similarity = rows[similarity >= min_similarity], similarity[similarity >= min_similarity]
        best = _best(np.arange(len(rows)), similarity, k)
        return [Retrieved(keys.items[rows[i]], float(similarity[i])) for i in best]

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write both files, the manifest last."""
        from safetensors.numpy import save

        directory = Path(directory)
        columns = {name: np.array([getattr(item, name) for item in self.items]) for name in (*SCALARS, *VECTORS)}
        arrays = save({name: np.ascontiguousarray(column) for name, column in columns.items()})
        content = {
            "schema_version": SCHEMA_VERSION,
            "encoder_id": self.encoder_id,
            "tasks": [item.task for item in self.items],
            "episode_ids": [item.episode_id for item in self.items],
            "removed": sorted(self.removed),
            "exact_up_to": self.exact_up_to,
            "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
        }
        directory.mkdir(parents=True, exist_ok=True)
        atomic_write(directory / ARRAYS, arrays)
        write_sealed(directory / MANIFEST, content)

    @classmethod
    def load(cls, directory: str | os.PathLike[str], encoder_id: str) -> RecoveryMemory:
        """Read what `save` wrote. IntegrityError on another encoder, a changed byte or a missing file."""
        from safetensors.numpy import load

        directory = Path(directory)
        try:
            manifest, arrays = (directory / MANIFEST).read_bytes(), (directory / ARRAYS).read_bytes()
        except OSError as error:
            raise IntegrityError(
                f"no recovery memory in {directory.name} ({error.strerror}); build it again"
            ) from error
        content = _unsealed(manifest, directory.name)
        if hashlib.sha256(arrays).hexdigest() != content["arrays_sha256"]:
            raise IntegrityError(f"{ARRAYS} in {directory.name} is not what was written; build the memory again")
        if content["encoder_id"] != encoder_id:
            raise IntegrityError(
                f"the memory in {directory.name} was made by encoder {content['encoder_id']}, not {encoder_id};"
                " build it again with the model that will ask it"
            )
        columns = load(arrays)
        rows = zip(content["tasks"], content["episode_ids"], strict=True)
        items = [_item(columns, i, task, episode_id) for i, (task, episode_id) in enumerate(rows)]
        return cls(items, encoder_id, frozenset(content["removed"]), content.get("exact_up_to", EXACT_UP_TO))


def _item(columns: dict[str, npt.NDArray[Any]], i: int, task: str, episode_id: str) -> MemoryItem:
    scalars = {name: columns[name][i].item() for name in SCALARS}
    return MemoryItem(task=task, episode_id=episode_id, **scalars, **{name: columns[name][i] for name in VECTORS})


def _checked(item: MemoryItem) -> MemoryItem:
    """The item with plain numbers and float32 arrays of its own, which nobody can change afterwards."""
    key, goal, chunk = (_own(item, name, 2 if name == "chunk" else 1) for name in VECTORS)
    if not key.any() or not item.t < item.goal_t or not np.isfinite([item.value, item.goal_value]).all():
        raise DataRefused(f"memory item {item.item_id} has a zero key, a goal not after it or no value; leave it out")
    value, goal_value = float(item.value), float(item.goal_value)
    return replace(
        item,
        t=int(item.t),
        goal_t=int(item.goal_t),
        value=value,
        goal_value=goal_value,
        key=key,
        goal=goal,
        chunk=chunk,
    )


def _own(item: MemoryItem, name: str, dimensions: int) -> Features:
    array: Features = np.array(getattr(item, name), dtype=np.float32)
    if array.ndim != dimensions or not np.isfinite(array).all():
        raise DataRefused(f"{name} of memory item {item.item_id} has a wrong shape or is not finite; leave it out")
    array.flags.writeable = False
    return array


def _task_keys(items: Sequence[MemoryItem], removed: frozenset[str], exact_up_to: int) -> _TaskKeys:
    keys_ND = np.stack([item.key for item in items])
    unit_ND = keys_ND / np.linalg.norm(keys_ND, axis=1, keepdims=True)
    return _TaskKeys(
        tuple(items),
        unit_ND,
        Neighbours(unit_ND, exact_up_to),
        np.array([item.goal_value for item in items]),
        np.array([item.episode_id for item in items]),
        np.array([item.item_id not in removed for item in items]),
    )


def _unit(query: npt.ArrayLike, size: int) -> Features:
    vector = np.asarray(query, dtype=np.float32)
    if vector.shape != (size,):
        raise DataRefused(f"the query has shape {vector.shape} and the memory's keys ({size},); use the same encoder")
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not 0 < norm < np.inf:
        raise DataRefused("the query is zero or not finite, so it is similar to nothing; check the encoder's input")
    unit: Features = (vector / norm).astype(np.float32)
    return unit


def _best(rows: npt.NDArray[np.int64], similarity: Features, k: int) -> npt.NDArray[np.int64]:
    """The rows of the k largest similarities, best first and ties in order; only those are ever sorted."""
    if k < len(rows):
        near = similarity >= np.partition(similarity, len(rows) - k)[len(rows) - k]
        rows, similarity = rows[near], similarity[near]
    return rows[np.argsort(-similarity, kind="stable")[:k]]


def _unsealed(manifest: bytes, where: str) -> dict[str, Any]:
    content = unseal(manifest, MANIFEST, where)
    if content["schema_version"] != SCHEMA_VERSION:
        raise IntegrityError(
            f"the memory in {where} has schema {content['schema_version']}; update Regrasp or rebuild it"
        )
    return content
