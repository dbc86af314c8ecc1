"""The report on the intervention model: what its heads are worth on episodes they did not train on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from episodes.record import Array
from models.dataset import StepData
from models.intervention import InterventionConfig, InterventionCurves, risk_targets
from models.report_rows import Row, resampled
from models.value import ValueCurves

SECTION = "Intervention model"
Q_PAPER = ".004 (full), .005 without future prediction"
Q_WORDS = "both smooth L1 of the twin heads on the predicted latent to V of the next step; other data and value network"

Predicted = tuple[StepData, ValueCurves, InterventionCurves]


def intervention_rows(judged: Sequence[Predicted], of: str) -> list[Row]:
    """Q-loss, error of the predicted risk, and how much of the next latent's change is foretold."""
    kinds: dict[str, tuple[Callable[[Predicted], Array], str, str]] = {
        "Q-loss: smooth L1 of min Q to V of the next step": (q_errors, Q_PAPER, Q_WORDS),
        "smooth L1 of the risk head to R": (_risk_errors, "", ""),
    }
    rows = []
    for name, (errors, paper, words) in kinds.items():
        figure = resampled([errors(one) for one in judged], _mean)
        rows.append(Row(section=SECTION, name=name, of=of, figure=figure, paper=paper, comparable=words))
    told = "change of the latent that is foretold, between unit vectors (0: as good as no change)"
    foretold = resampled([_missed(one) for one in judged], _foretold)
    spread = resampled([_spreads(one) for one in judged], _ratio)
    monitor = "spread of the predicted latent within an episode, of the real one's (near 0: collapsed)"
    return [
        *rows,
        Row(section=SECTION, name=told, of=of, figure=foretold),
        Row(section=SECTION, name=monitor, of=of, figure=spread),
    ]


def q_errors(judged: Predicted) -> Array:
    """Smooth L1 of each step that has a successor in its run."""
    episode, values, curves = judged
    here = _with_next(episode.runs)
    return smooth_l1(curves.next_value[here] - values.value[here + 1])


def smooth_l1(error: Array) -> Array:
    """.5 e^2 below 1, |e| - .5 above."""
    return np.asarray(np.where(np.abs(error) < 1, 0.5 * error**2, np.abs(error) - 0.5))


def _risk_errors(judged: Predicted) -> Array:
    episode, values, curves = judged
    return smooth_l1(curves.risk - risk_targets(values.value, episode.runs, InterventionConfig()))


def _with_next(runs: Sequence[tuple[int, int]]) -> Array:
    return np.concatenate([np.arange(start, stop - 1) for start, stop in runs])


def _mean(parts: Sequence[Array]) -> float:
    joined = np.concatenate(parts)
    return float(joined.mean()) if len(joined) else math.nan


def _missed(judged: Predicted) -> tuple[float, float]:
    """Sum of |z' - predicted|^2 and of |z' - z|^2 between unit vectors, as the future head's loss has them."""
    episode, values, curves = judged
    here = _with_next(episode.runs)
    now, after, told = (
        _unit(z) for z in (values.latents[:, here], values.latents[:, here + 1], curves.future[:, here])
    )
    return float(((told - after) ** 2).sum()), float(((now - after) ** 2).sum())


def _foretold(parts: Sequence[tuple[float, float]]) -> float:
    moved = sum(part[1] for part in parts)
    return 1 - sum(part[0] for part in parts) / moved if moved else math.nan


def _spreads(judged: Predicted) -> tuple[float, float]:
    _, values, curves = judged
    return float(curves.future.var(axis=1).sum()), float(values.latents.var(axis=1).sum())


def _ratio(parts: Sequence[tuple[float, float]]) -> float:
    real = sum(part[1] for part in parts)
    return sum(part[0] for part in parts) / real if real else math.nan


def _unit(z: Array) -> Array:
    return np.asarray(z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-9))
