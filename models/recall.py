"""Building and asking the recovery memory: which past state was like this one, and what came of it.

Key and query are the *situation* (proprio without the absolute tool pose), standardised over the training episodes.
The similarity below which nothing counts as known is taken from the memory itself: what a key finds among the keys of
other episodes, at a low quantile.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from episodes.errors import DataRefused
from episodes.record import ActionSource, Array
from models.dataset import StepData, check_alike
from models.goals import episode_refusals, refusal, rescues
from models.memory import MemoryItem, RecoveryMemory, Retrieved
from models.networks import CLIP_SD
from models.pairs import ChosenPairs, Pair, choose_pairs, mine_pairs
from models.recovery import HORIZON, situations
from models.sealed import as_written, read_sealed, write_sealed

FILE = "encoder.json"
PAIR_SCHEMA = {
    "pair_id": pl.String,
    "query_episode": pl.String,
    "query_t": pl.Int64,
    "goal_episode": pl.String,
    "goal_t": pl.Int64,
    "key_t": pl.Int64,
    "item_id": pl.String,
    "similarity": pl.Float64,
    "query_value": pl.Float64,
    "goal_value": pl.Float64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Settings of the recovery memory."""

    count: int = 240
    """items wanted"""
    per_episode: int = 6
    span_s: float = 2.5
    """a goal lies at most this far ahead"""
    gain: float = 0.1
    """of V, from key to goal"""
    end_value: float = 0.3
    """lowest V of a goal"""
    margin: float = 0.03
    """a goal must be worth this much more than now"""
    floor_quantile: float | None = 0.02
    """of leave-one-episode-out similarities, below which a state counts as unknown; None: no state is unknown"""
    human_only: bool = False
    """remember only where a person drove: for a policy that still changes, whose own ways are not worth following"""
    adaptive: bool = False
    """ask for a smaller gain and end value where too few pairs are found, down to a quarter of both"""
    max_distance_m: float | None = None
    """of the tool, from key to goal"""
    same_gripper: bool = False
    """no goal on whose way the gripper opens or closes"""
    rescues: bool = False
    """remember takeovers and recoveries that worked in episodes that did not succeed as well"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SituationEncoder:
    """Standardised situations; its id names exactly these columns and constants."""

    proprio_names: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    floor: float
    """least similarity that counts as known"""
    margin: float
    """a goal must be worth this much more than now"""

    @classmethod
    def fit(cls, episodes: Sequence[StepData], margin: float) -> SituationEncoder:
        """Mean and standard deviation over all steps of `episodes`; the floor is set by the memory."""
        rows = np.concatenate([situations(e.proprio, e.proprio_names) for e in episodes]).astype(float)
        sd = np.maximum(rows.std(axis=0), 1e-3)
        mean = rows.mean(axis=0)
        return cls(
            proprio_names=episodes[0].proprio_names,
            mean=tuple(np.round(mean, 9).tolist()),
            sd=tuple(np.round(sd, 9).tolist()),
            floor=-1.0,
            margin=margin,
        )

    @property
    def encoder_id(self) -> str:
        """16 hex digits over columns and constants; the floor and margin are not part of it."""
        content = json.dumps([self.proprio_names, self.mean, self.sd])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def encode(self, proprio: Array) -> Array:
        """(T, S) keys of (T, P) proprio."""
        standard = (situations(proprio, self.proprio_names) - np.array(self.mean)) / np.array(self.sd)
        return np.asarray(np.clip(standard, -CLIP_SD, CLIP_SD), np.float32)

    def save(self, directory: Path) -> None:
        """Write `encoder.json`."""
        write_sealed(directory / FILE, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> SituationEncoder:
        """Read what `save` wrote; `IntegrityError` on any changed byte."""
        saved = read_sealed(directory / FILE)
        with as_written(directory):
            return cls(**_tuples(saved))


def _tuples(saved: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltMemory:
    """A memory with the encoder it is bound to and a sentence about how full it is."""

    memory: RecoveryMemory
    encoder: SituationEncoder
    report: str
    refused: Mapping[str, int] = field(default_factory=dict)
    """starts of pairs, and whole episodes, that are no recovery target, by reason"""


LOWER = (1.0, 0.7, 0.5, 0.35, 0.25)
"""shares of gain and end value that an adaptive memory asks for, one after the other"""


def build_memory(
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    config: MemoryConfig,
    *,
    removed: Sequence[str] = (),
) -> BuiltMemory:
    """Memory of the training episodes that succeeded, and of rescues in others where they are asked for.

    `removed` are item ids that people rejected.

    `values`: episode_id -> (T,) V. Test, validation and calibration episodes never enter.
    """
    learned = [e for e in episodes if e.split == "train" and e.episode_id in values]
    worked = {e.episode_id: rescues(e, values[e.episode_id]) for e in learned if config.rescues and not e.success}
    usable = [e for e in learned if e.success or worked.get(e.episode_id)]
    if not usable:
        raise DataRefused("no successful training episode to remember; collect some, or give outcomes on page Episodes")
    check_alike(usable)
    encoder = SituationEncoder.fit(usable, config.margin)
    improving = {e.episode_id: _improving(e, values[e.episode_id], worked.get(e.episode_id), config) for e in usable}
    chosen, refused = _chosen(usable, improving, config)
    by_id = {e.episode_id: e for e in usable}
    items = [_item(by_id[name], encoder, pair.t, pair.goal_t, values[name]) for name, pair in chosen.pairs]
    memory = RecoveryMemory.build(items, encoder.encoder_id).without(removed)
    known = replace(encoder, floor=similarity_floor(memory, config.floor_quantile))
    told = {**refused, **episode_refusals(episodes, values, [e.episode_id for e in usable])}
    told |= {"taken out by people": len(removed)} if removed else {}
    return BuiltMemory(memory=memory, encoder=known, report=chosen.report(), refused=told)


def _improving(
    episode: StepData, values: Array, worked: Sequence[tuple[int, int]] | None, config: MemoryConfig
) -> list[Pair]:
    """From each start the best state in reach, whatever it is worth; of a failure only in what `worked` there."""
    source = _remembered(episode.source, worked, config)
    return mine_pairs(
        values, source, time_s=episode.time_s, span_s=config.span_s, gain=1e-9, end_value=-np.inf, horizon=HORIZON
    )


def _chosen(
    usable: Sequence[StepData], improving: Mapping[str, Sequence[Pair]], config: MemoryConfig
) -> tuple[ChosenPairs, dict[str, int]]:
    """The pairs of the memory; an adaptive one asks for less until it is full."""
    for share in LOWER if config.adaptive else LOWER[:1]:
        asked = {"gain": share * config.gain, "end_value": share * config.end_value}
        refused: Counter[str] = Counter()
        candidates: dict[str, list[Pair]] = {e.episode_id: [] for e in usable}
        for episode in usable:
            for pair in improving[episode.episode_id]:
                reason = refusal(
                    pair, episode, **asked, max_distance_m=config.max_distance_m, same_gripper=config.same_gripper
                )
                if reason is None:
                    candidates[episode.episode_id].append(pair)
                else:
                    refused[reason] += 1
        chosen = choose_pairs(candidates, count=config.count, per_episode=config.per_episode)
        if len(chosen.pairs) == config.count:
            break
    return replace(chosen, lowered=share), dict(refused)


def _remembered(source: Array, worked: Sequence[tuple[int, int]] | None, config: MemoryConfig) -> Array:
    """`source` with a hold, from which no pair is mined, wherever nothing is to be remembered."""
    kept = source == ActionSource.HUMAN if config.human_only else np.ones(len(source), bool)
    if worked is not None:
        inside = np.zeros(len(source), bool)
        for start, stop in worked:
            inside[start:stop] = True
        kept = kept & inside
    return np.where(kept, source, ActionSource.HOLD)


def _item(episode: StepData, encoder: SituationEncoder, t: int, goal_t: int, values: Array) -> MemoryItem:
    return MemoryItem(
        task=episode.task,
        episode_id=episode.episode_id,
        t=t,
        goal_t=goal_t,
        key=encoder.encode(episode.proprio[t : t + 1])[0],
        goal=situations(episode.proprio[goal_t : goal_t + 1], episode.proprio_names)[0],
        value=float(values[t]),
        goal_value=float(values[goal_t]),
        chunk=np.nan_to_num(episode.executed_action[t : t + HORIZON]),
    )


def similarity_floor(memory: RecoveryMemory, quantile: float | None) -> float:
    """A low quantile of what each key finds among other episodes; -1 for a memory of one episode, or for None."""
    if quantile is None:
        return -1.0
    found = [memory.retrieve(i.key, 1, i.task, exclude_episode=i.episode_id) for i in memory.items]
    best = [answers[0].similarity for answers in found if answers]
    return float(np.quantile(best, quantile)) if best else -1.0


def recall(
    memory: RecoveryMemory,
    encoder: SituationEncoder,
    proprio: Array,
    value: float,
    task: str,
    *,
    exclude_episode: str | None = None,
) -> Retrieved | None:
    """The most similar item whose goal is better than now; None where nothing similar enough is known."""
    found = memory.retrieve(
        encoder.encode(proprio[None])[0],
        1,
        task,
        min_value=value + encoder.margin,
        min_similarity=encoder.floor,
        exclude_episode=exclude_episode,
    )
    return found[0] if found else None


def audit_pairs(
    built: BuiltMemory, episodes: Sequence[StepData], values: Mapping[str, Array], audited: pl.DataFrame
) -> pl.DataFrame:
    """What the memory answers to each labelled stall, for people to judge; the episode's own items are left out."""
    by_id = {e.episode_id: e for e in episodes}
    rows = []
    for label in audited.filter(pl.col("verdict") != "reject").iter_rows(named=True):
        episode = by_id.get(label["episode_id"])
        if episode is None or label["episode_id"] not in values or episode.split == "test":
            continue
        t = min(label["stop"], len(episode)) - 1
        value = float(values[episode.episode_id][t])
        found = recall(
            built.memory, built.encoder, episode.proprio[t], value, episode.task, exclude_episode=episode.episode_id
        )
        if found is not None:
            rows.append(_pair_row(episode, t, value, found))
    return pl.DataFrame(rows, schema=PAIR_SCHEMA)


def _pair_row(episode: StepData, t: int, value: float, found: Retrieved) -> dict[str, str | int | float]:
    item = found.item
    return {
        "pair_id": f"{episode.episode_id}:{t}>{item.episode_id}:{item.goal_t}",
        "query_episode": episode.episode_id,
        "query_t": t,
        "goal_episode": item.episode_id,
        "goal_t": item.goal_t,
        "key_t": item.t,
        "item_id": item.item_id,
        "similarity": found.similarity,
        "query_value": value,
        "goal_value": item.goal_value,
    }


def rejected_items(pairs: pl.DataFrame, verdicts: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Ids of items that a person found no good target, from the verdicts on the pairs that showed them."""
    bad = {name for name, decision in verdicts.items() if decision.get("verdict", "valid") != "valid"}
    return sorted(set(pairs.filter(pl.col("pair_id").is_in(sorted(bad)))["item_id"]))
