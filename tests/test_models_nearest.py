"""A memory with an index answers as one without, and says so in its manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.memory import MemoryItem, RecoveryMemory
from models.sealed import read_sealed

COUNT, SIZE = 3_000, 12


def items() -> list[MemoryItem]:
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(COUNT // 30, 1, SIZE)) + np.cumsum(rng.normal(size=(COUNT // 30, 30, SIZE)) * 0.2, 1)
    return [
        MemoryItem(task="t", episode_id=f"{i // 30:04d}", t=i % 30, goal_t=i % 30 + 9, key=key.astype(np.float32),
                   goal=np.ones(2, np.float32), value=0.1, goal_value=(i % 10) / 10, chunk=np.zeros((8, 2), np.float32))
        for i, key in enumerate(walks.reshape(-1, SIZE))
    ]  # fmt: skip


ITEMS = items()
EXACT = RecoveryMemory.build(ITEMS, "e")
INDEXED = RecoveryMemory(EXACT.items, "e", frozenset(), exact_up_to=1_000)


@pytest.mark.parametrize("filters", [{}, {"min_value": 0.85}, {"exclude_episode": "0003"}, {"min_similarity": 0.9}])
def test_the_index_answers_as_the_comparison_of_all(filters: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    queries = [ITEMS[i].key + rng.normal(size=SIZE) * 0.1 for i in rng.integers(0, COUNT, 200)]
    same = [
        [f.item.item_id for f in EXACT.retrieve(q, 1, "t", **filters)]  # type: ignore[arg-type]
        == [f.item.item_id for f in INDEXED.retrieve(q, 1, "t", **filters)]  # type: ignore[arg-type]
        for q in queries
    ]
    assert np.mean(same) >= 0.99


def test_a_filter_that_leaves_no_candidate_asks_every_key() -> None:
    lonely = INDEXED.without([item.item_id for item in ITEMS[:-1]])
    (found,) = lonely.retrieve(ITEMS[0].key, 1, "t")
    assert found.item.item_id == ITEMS[-1].item_id


def test_the_manifest_says_up_to_how_many_keys_all_are_compared(tmp_path: Path) -> None:
    INDEXED.save(tmp_path)
    assert read_sealed(tmp_path / "memory.json")["exact_up_to"] == 1_000
    again = RecoveryMemory.load(tmp_path, "e")
    assert again.exact_up_to == 1_000
    query = ITEMS[17].key
    assert [f.item.item_id for f in again.retrieve(query, 3, "t")] == [
        f.item.item_id for f in INDEXED.retrieve(query, 3, "t")
    ]
