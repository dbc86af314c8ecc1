"""The report on who drove and on recoveries: shares of steps, human time, retrieval, and what recoveries regained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from episodes.record import ActionSource, Array
from models.announcement import Announced
from models.dataset import StepData
from models.evaluation import Measured
from models.goals import HELD, REGAINED, regained_at
from models.memory import RecoveryMemory
from models.metrics import interventions_per_episode
from models.recall import SituationEncoder
from models.report_rows import Row, resampled

LABELS = "Labels against takeovers"
RUNS, RETRIEVAL, RECOVERIES = "Who drove", "Retrieval", "Recoveries"
SR_PAPER, IR_PAPER = "88 % with, 81 % HiL-SERL (five tasks)", "14.6 % with, 34.3 % HiL-SERL"
RUN_WORDS = "the same definition; theirs after online RL on a real UR7e, 20 evaluation episodes a task; ours simulated"
TOP_K = 5
SAME_PHASE = 0.1
"""|V of the key - V now| within which a key is of the same phase"""
REACHED_S = 4.0
"""a goal is to be reached, and V regained by so much for so many steps, within these seconds"""


def label_rows(found: Announced, rule: str) -> list[Row]:
    """One label rule against the people who took over."""
    of = "stretches of policy control"
    lead = resampled(found.leads_s, lambda s: float(np.median(s)))
    missed = Measured.share([False] * len(found.leads_s) + [True] * found.missed)
    vain = 60 * found.in_vain / found.calm_s if found.calm_s else math.nan
    in_vain = Measured(value=vain, lo=math.nan, hi=math.nan, n=found.in_vain)
    return [
        Row(section=LABELS, name=f"{rule}: lead before the person decides, median", of=of, figure=lead, unit="s"),
        Row(section=LABELS, name=f"{rule}: takeovers without a label before", of=of, figure=missed),
        Row(section=LABELS, name=f"{rule}: labels in vain (n)", of=of, figure=in_vain, unit="per minute"),
    ]


def run_rows(episodes: Sequence[StepData], of: str) -> list[Row]:
    """SR and shares of the steps of one session."""
    known = [e for e in episodes if e.success is not None]
    shares = {
        "intervention rate: human steps / steps": (ActionSource.HUMAN, IR_PAPER),
        "agent-recovery rate: recovery steps / steps": (ActionSource.RECOVERY, ""),
        "policy share": (ActionSource.POLICY, ""),
    }
    rows = [Row(section=RUNS, name="success rate", of=of, figure=Measured.share([bool(e.success) for e in known]),
                paper=SR_PAPER, comparable=RUN_WORDS)]  # fmt: skip
    for name, (actor, paper) in shares.items():
        figure = resampled(episodes, lambda s, a=actor: _share_of(s, a))  # type: ignore[misc]
        words = RUN_WORDS if paper else ""
        rows.append(Row(section=RUNS, name=name, of=of, figure=figure, paper=paper, comparable=words))
    counts = {"interventions an episode, gaps under .5 s merged": 0.5, "interventions an episode, raw": 0.0}
    for name, gap_s in counts.items():
        figure = Measured.mean([float(interventions_per_episode(e.source, e.fps, gap_s)) for e in episodes])
        rows.append(Row(section=RUNS, name=name, of=of, figure=figure))
    return [*rows, Row(section=RUNS, name="human time per success", of=of, figure=resampled(known, _human_s), unit="s")]


def _share_of(episodes: Sequence[StepData], actor: ActionSource) -> float:
    steps = np.concatenate([e.source for e in episodes])
    steps = steps[steps != ActionSource.UNKNOWN]
    return float((steps == actor).mean()) if len(steps) else math.nan


def _human_s(episodes: Sequence[StepData]) -> float:
    successes = sum(bool(e.success) for e in episodes)
    human_s = sum((e.source == ActionSource.HUMAN).sum() / e.fps for e in episodes)
    return float(human_s / successes) if successes else math.nan


def retrieval_rows(
    memory: RecoveryMemory,
    encoder: SituationEncoder,
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    stalls: Mapping[str, Sequence[int]],
    of: str,
) -> list[Row]:
    """What the memory answers to stuck states: `stalls` are the steps, by episode; its own items are left out."""
    found = [
        _query(memory, encoder, e, values[e.episode_id], t) for e in episodes for t in stalls.get(e.episode_id, ())
    ]
    answered = [answer for answer in found if answer is not None]
    lines = {
        "stuck states to which the memory has an answer": Measured.share([answer is not None for answer in found]),
        f"precision@{TOP_K}: keys of the same phase": Measured.mean([answer[0] for answer in answered]),
        "gain of V from here to the goal": Measured.mean([answer[1] for answer in answered]),
        f"goals whose V the episode reached within {REACHED_S:g} s, whoever drove": Measured.share(
            [answer[2] for answer in answered]
        ),
    }
    return [Row(section=RETRIEVAL, name=name, of=of, figure=figure) for name, figure in lines.items()]


def _query(
    memory: RecoveryMemory, encoder: SituationEncoder, episode: StepData, values: Array, t: int
) -> tuple[float, float, bool] | None:
    """(share of the same phase, gain, reached) of one stuck state; None where nothing similar is known."""
    value = float(values[t])
    found = memory.retrieve(
        encoder.encode(episode.proprio[t : t + 1])[0],
        TOP_K,
        episode.task,
        min_value=value + encoder.margin,
        min_similarity=encoder.floor,
        exclude_episode=episode.episode_id,
    )
    if not found:
        return None
    ahead = values[t : t + round(REACHED_S * episode.fps) + 1]
    same = float(np.mean([abs(one.item.value - value) <= SAME_PHASE for one in found]))
    goal = found[0].item.goal_value
    return same, goal - value, bool(ahead.max() >= goal)


def recovery_rows(episodes: Sequence[StepData], values: Mapping[str, Array], of: str) -> list[Row]:
    """What recorded recoveries regained: V up by `REGAINED` for `HELD` steps in time, without a person."""
    taken = [_regained_s(e, values[e.episode_id], start) for e in episodes for start in _begun(e)]
    regained = [seconds for seconds in taken if math.isfinite(seconds)]
    name = f"recoveries after which V is up by {REGAINED:g} within {REACHED_S:g} s, without a person"
    median = resampled(regained, lambda s: float(np.median(s)))
    return [
        Row(section=RECOVERIES, name=name, of=of, figure=Measured.share([math.isfinite(s) for s in taken])),
        Row(section=RECOVERIES, name="time to that, median", of=of, figure=median, unit="s"),
    ]


def _begun(episode: StepData) -> list[int]:
    """First step of each recovery; one that follows another within a second goes on with it."""
    steps = np.flatnonzero(episode.source == ActionSource.RECOVERY)
    return [int(t) for i, t in enumerate(steps) if i == 0 or t - steps[i - 1] > episode.fps]


def _regained_s(episode: StepData, values: Array, start: int) -> float:
    stop = min(len(episode), start + round(REACHED_S * episode.fps) + HELD)
    human = np.flatnonzero(episode.source[start:stop] == ActionSource.HUMAN)
    stop = start + int(human[0]) if len(human) else stop
    t = regained_at(values[start:stop]) if stop > start else None
    return math.inf if t is None else t / episode.fps
