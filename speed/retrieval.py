"""Asking the memory: seconds a question at some numbers of keys, against one product of all keys with the query.

`python -m speed.retrieval [--keys N ...] [--rounds 16]` prints one JSON line for each N. Keys are smooth walks of 40
steps in 34 dimensions, as rollouts are; queries are keys with noise. Above the memory's own limit an index answers, and
`recall_at_1` says how often it finds what comparing all keys finds.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from models.memory import MemoryItem, RecoveryMemory
from models.nearest import Keys
from speed.rounds import Seconds, compare, timed

SIZE, WALK, QUERIES, SLOT_S = 34, 40, 200, 0.05


def walks(count: int) -> Keys:
    """(count, SIZE) float32 keys."""
    rng = np.random.default_rng(0)
    starts = rng.normal(size=(-(-count // WALK), 1, SIZE))
    return (
        (starts + np.cumsum(rng.normal(size=(len(starts), WALK, SIZE)) * 0.15, 1))
        .reshape(-1, SIZE)[:count]
        .astype(np.float32)
    )


def memory_of(keys: Keys) -> RecoveryMemory:
    """One item a key."""
    goal, chunk = np.ones(SIZE, np.float32), np.zeros((8, 7), np.float32)
    items = (
        MemoryItem(task="t", episode_id=f"{i // WALK:06d}", t=i % WALK, goal_t=WALK, key=key, goal=goal, value=0.1,
                   goal_value=0.9, chunk=chunk)
        for i, key in enumerate(keys)
    )  # fmt: skip
    return RecoveryMemory.build(items, "speed")


def measure(count: int, rounds: int) -> dict[str, Any]:
    """One line of the table."""
    keys = walks(count)
    memory, rng = memory_of(keys), np.random.default_rng(1)
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    queries = keys[rng.integers(0, count, QUERIES)] + rng.normal(size=(QUERIES, SIZE)).astype(np.float32) * 0.1
    nearest = [int(np.argmax(unit @ (query / np.linalg.norm(query)))) for query in queries]
    found = [memory.retrieve(query, 1, "t")[0].item for query in queries]
    recall = float(np.mean([memory.items[i] is item for i, item in zip(nearest, found, strict=True)]))
    turn = iter(np.tile(np.arange(QUERIES), 1_000_000 // QUERIES))
    candidates: dict[str, Seconds] = {
        "ours": lambda: timed(lambda: memory.retrieve(queries[next(turn)], 1, "t", min_value=0.5), slot_s=SLOT_S),
        "floor": lambda: timed(lambda: unit @ queries[0], slot_s=SLOT_S),
    }
    indexed = count > memory.exact_up_to
    return compare("retrieval", count, candidates, rounds=rounds, recall_at_1=recall, indexed=indexed)


def main() -> None:
    """Print one JSON line for each number of keys."""
    parser = argparse.ArgumentParser(description="Speed of retrieval, beside one product of all keys with the query.")
    parser.add_argument("--keys", type=int, nargs="+", default=[240, 100_000])
    parser.add_argument("--rounds", type=int, default=16, help="the first is dropped")
    arguments = parser.parse_args()
    for count in arguments.keys:
        print(json.dumps(measure(count, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
