"""The recovery memory: where to go from a stuck state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from assets import checks, inputs
from assets.graph import stage
from assets.making import Made, Work

if TYPE_CHECKING:
    from models.recall import BuiltMemory


@stage("memory/recovery")
def recovery(work: Work) -> Made:
    """Remember better states of the training episodes, and note what is retrieved for the stuck ones."""
    episodes, audited = inputs.episodes(work), pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    built, pairs = _built(work, audited, work.decisions)
    built.memory.save(work.out)
    built.encoder.save(work.out)
    pairs.write_parquet(work.out / "pairs.parquet")
    held_out = {episode.episode_id for episode in episodes if episode.split in ("validation", "test")}
    line = checks.memory_valid(built.memory, held_out)
    told = {"filled": built.report, "similarity floor": built.encoder.floor, "pairs to audit": len(pairs)}
    told |= {f"refused: {reason}": count for reason, count in sorted(built.refused.items())}
    return Made(metadata=line.figures | told, checks=(line,))


def _built(work: Work, audited: pl.DataFrame, verdicts: Mapping[str, Any]) -> tuple[BuiltMemory, pl.DataFrame]:
    """The memory without what people rejected.

    A verdict names the pair that was on the screen, and taking an item out brings up another pair, which may have its
    own verdict: so build, ask, take out, until nothing rejected comes up. Each round takes out an item at least.
    """
    from models.recall import audit_pairs, build_memory, rejected_items

    episodes, values, removed = inputs.episodes(work), inputs.values(work), set[str]()
    while True:
        built = build_memory(episodes, values, work.config("memory"), removed=sorted(removed))
        pairs = audit_pairs(built, episodes, values, audited)
        rejected = set(rejected_items(pairs, verdicts)) - removed
        if not rejected:
            return built, pairs
        removed |= rejected
