"""Why something may be wrong: what the value model, the rules and the takeovers say about each thing to decide.

Three signals in [0, 1] for each candidate. Uncertainty: the model does not know, so a person tells it the most.
Disagreement: rules, model and people contradict each other or what is recorded, so one of them is wrong. The third,
novelty, depends on what was decided already and is given in `ranking`. Ranges are steps, half open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labeling_app.labels import Label

Array = npt.NDArray[Any]
Curves = Mapping[str, Mapping[str, Array]]
RULES = ("decline", "plateau", "abrupt_drop", "seed_rule")
LEAD_S = 5.0
"""a takeover this long after a label's last step is about that label"""
SURE, SHORTEST_S = 0.8, 1.0
"""a stall that no rule found: the model is this sure of it for this long"""
UNLABELED = "a person took over and nothing is labeled before"
CURVE_COLUMNS = ("value", "value_lo", "value_hi", "success_score", "stall_probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing that a person may decide."""

    item: str
    """what the decision will be about"""
    kind: str
    """outcome, label, missed or pair"""
    episode_id: str
    t: int
    """the step to look at"""
    uncertainty: float
    disagreement: float
    reasons: tuple[str, ...]
    """what speaks for looking at it, the strongest first"""
    features: tuple[float, ...]
    """what it looks like, to tell what is unlike everything decided so far"""


def by_episode(table: pl.DataFrame | None, columns: Sequence[str]) -> Curves:
    """Episode -> column -> values in the order of steps; columns that are not there are left out."""
    if table is None:
        return {}
    named = [name for name in columns if name in table.columns]
    parts = table.select("episode_id", "frame_index", *named).sort("episode_id", "frame_index")
    split = parts.partition_by("episode_id", as_dict=True, include_key=False)
    return {str(key[0]): {name: part[name].to_numpy() for name in named} for key, part in split.items()}


def outcomes(table: pl.DataFrame, curves: Curves) -> Iterator[Candidate]:
    """The outcome of each episode, beside the success score W with which it ended."""
    for row in table.iter_rows(named=True):
        curve = curves.get(row["episode_id"])
        if curve is None or "success_score" not in curve:
            if row["success"] == "unknown":
                yield _outcome(row, 1.0, 0.0, ("nobody said how it ended",), (0.0,) * 5)
            continue
        score = float(np.clip(np.mean(curve["success_score"][-5:]), 0, 1))
        unknown = row["success"] == "unknown"
        off = 0.0 if unknown else abs(score - (row["success"] == "success"))
        reasons = [f"it counts as {row['success']} and the model ends at W {score:.2f}"] if off > 0.5 else []
        reasons += ["nobody said how it ended"] if unknown else []
        stall = _column(curve, "stall_probability", 0.0)
        seen = (row["length"] or 0, score, float(curve["value"][-1]), float(stall.max()), float(stall.mean()))
        yield _outcome(row, 1.0 if unknown else _doubt(score), off, tuple(reasons), seen)


def _outcome(
    row: Mapping[str, Any], doubt: float, off: float, reasons: tuple[str, ...], seen: tuple[float, ...]
) -> Candidate:
    last = max((row["length"] or 1) - 1, 0)
    return Candidate(
        item=row["episode_id"],
        kind="outcome",
        episode_id=row["episode_id"],
        t=last,
        uncertainty=doubt,
        disagreement=off,
        reasons=reasons,
        features=seen,
    )


def labels(
    found: Sequence[Label], curves: Curves, rules: Curves, takeovers: Mapping[str, Sequence[int]], fps: float
) -> Iterator[Candidate]:
    """Mined labels, beside the model's probability of a stall, the other rules, and whether somebody took over."""
    watched = {episode_id for episode_id, starts in takeovers.items() if len(starts)}
    for label in found:
        curve = curves.get(label.episode_id)
        if curve is None or label.stop <= label.start:
            continue
        stall = _over(_column(curve, "stall_probability", 0.5), label)
        fired = [name for name in RULES if _over(_column(rules.get(label.episode_id, {}), name, 0.0), label) > 0]
        says = [1 - stall, 1 - len(fired) / len(RULES)]
        reasons = [(1 - stall, f"a rule says stuck and the model does not (stall {stall:.2f})")] if stall < 0.5 else []
        if label.episode_id in watched:
            near = any(label.start <= at <= label.stop + LEAD_S * fps for at in takeovers[label.episode_id])
            says.append(0.0 if near else 1.0)
            reasons += [] if near else [(0.8, "a person watched and took over elsewhere")]
        reasons += [(0.5, f"only the rule {fired[0].replace('_', ' ')} found it")] if len(fired) == 1 else []
        spread = _over(_column(curve, "value_hi", 0.0), label) - _over(_column(curve, "value_lo", 0.0), label)
        value = curve["value"][label.start : label.stop]
        seen = (label.stop - label.start, float(value.mean()), float(value[-1] - value[0]), spread, stall)
        yield Candidate(
            item=label.label_id,
            kind="label",
            episode_id=label.episode_id,
            t=label.start,
            uncertainty=(_doubt(stall) + min(1.0, 2 * spread)) / 2,
            disagreement=float(np.mean(says)),
            reasons=tuple(told for _, told in sorted(reasons, reverse=True)),
            features=seen,
        )


def missed(
    found: Sequence[Label],
    curves: Curves,
    takeovers: Mapping[str, Sequence[int]],
    marked: Mapping[str, Sequence[tuple[int, int, str]]],
    fps: float,
) -> Iterator[Candidate]:
    """Steps that no label covers although the model is sure of a stall, or a person took over right after them."""
    for episode_id, curve in curves.items():
        stall = _column(curve, "stall_probability", 0.0)
        covered = np.zeros(len(stall), bool)
        own = [(label.start, label.stop) for label in found if label.episode_id == episode_id]
        for start, stop in [*own, *((start, stop) for start, stop, _ in marked.get(episode_id, ()))]:
            covered[max(start, 0) : stop] = True
        lead = int(LEAD_S * fps)
        for at in takeovers.get(episode_id, ()):
            if at and not covered[max(0, at - lead) : at].any():
                yield _missed(episode_id, curve, max(0, at - lead), at, UNLABELED)
                covered[max(0, at - lead) : at] = True
        for start, stop in _runs((stall > SURE) & ~covered):
            if stop - start >= SHORTEST_S * fps:
                sure = f"the model sees a stall ({stall[start:stop].mean():.2f}) and no rule does"
                yield _missed(episode_id, curve, start, stop, sure)


def _missed(episode_id: str, curve: Mapping[str, Array], start: int, stop: int, reason: str) -> Candidate:
    stall, value = _column(curve, "stall_probability", 0.0)[start:stop], curve["value"][start:stop]
    return Candidate(
        item=f"{episode_id}:{start}-{stop}",
        kind="missed",
        episode_id=episode_id,
        t=start,
        uncertainty=_doubt(float(stall.mean())),
        disagreement=1.0 if reason == UNLABELED else float(stall.mean()),
        reasons=(reason,),
        features=(stop - start, float(value.mean()), float(value[-1] - value[0]), 0.0, float(stall.mean())),
    )


def pairs(table: pl.DataFrame | None) -> Iterator[Candidate]:
    """Retrieved pairs, beside their similarity and what the goal would gain."""
    for row in () if table is None else table.iter_rows(named=True):
        gain, alike = row["goal_value"] - row["query_value"], row["similarity"]
        told = [(1 - gain, f"the goal is worth no more than where it is stuck ({gain:+.2f})")] if gain < 0.1 else []
        unlike = f"the goal looks little like the stuck step (similarity {alike:.2f})"
        told += [(1 - alike, unlike)] if alike < 0.9 else []
        yield Candidate(
            item=row["pair_id"],
            kind="pair",
            episode_id=row["query_episode"],
            t=row["query_t"],
            uncertainty=float(np.clip(2 * (1 - alike), 0, 1)),
            disagreement=float(np.clip(1 - 2 * gain, 0, 1)),
            reasons=tuple(reason for _, reason in sorted(told, reverse=True)),
            features=(row["query_value"], row["goal_value"], alike, row["query_t"], row["goal_t"]),
        )


def _column(curve: Mapping[str, Array], name: str, otherwise: float) -> Array:
    if name in curve:
        return np.nan_to_num(np.asarray(curve[name], np.float64), nan=otherwise)
    return np.full(len(next(iter(curve.values()), ())), otherwise)


def _over(values: Array, label: Label) -> float:
    part = values[label.start : label.stop]
    return float(part.mean()) if len(part) else 0.0


def _doubt(probability: float) -> float:
    return 1 - abs(2 * probability - 1)


def _runs(mask: Array) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
