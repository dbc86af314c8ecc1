"""The report on the trigger: against the labels, against people, against the outcome, and in time.

Steps are judged where the policy drove, all by nets that did not train on the episode. A trigger is a run of alarmed
steps, at its first one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.record import ActionSource, Array
from models.curve import true_runs
from models.dataset import StepData
from models.evaluation import Measured
from models.metrics import trigger_event_scores
from models.report_rows import Row, resampled

SECTION = "Trigger"
BEFORE, AFTER = 8, 8
"""steps around a labelled onset in which a trigger counts for it"""
F1_PAPER = ".882"
F1_WORDS = (
    "both are agreement with mined labels, not with people; theirs on two real tasks with labels of the release's "
    "rules, ours with labels of our rule"
)
BALANCED_PAPER = ".78 simulation, .72 robot (FAIL-Detect)"
BALANCED_WORDS = "the same statistic on other tasks, without failures in training; ours learns from failures too"


@dataclass(frozen=True, slots=True)
class Alarmed:
    """One episode's alarm and what the labels say, (T,) each, at the policy's steps; elsewhere no alarm and NaN."""

    episode: StepData
    alarm: Array
    label: Array


def alarmed(episodes: Sequence[StepData], alarms: Mapping[str, Array], labels: Mapping[str, Array]) -> list[Alarmed]:
    """The episodes that have both curves."""
    known = [e for e in episodes if e.episode_id in alarms and e.episode_id in labels]
    own = [e.source == ActionSource.POLICY for e in known]
    return [
        Alarmed(e, np.asarray(alarms[e.episode_id]) & mine, np.where(mine, labels[e.episode_id], np.nan))
        for e, mine in zip(known, own, strict=True)
    ]


def trigger_rows(judged: Sequence[Alarmed], name: str, of: str, *, truth: str) -> list[Row]:
    """Agreement of the alarm `name` with labels of some `truth`, by step and by event."""
    published = (F1_PAPER, F1_WORDS) if truth == "mined labels" else ("", "")
    kinds: dict[str, Callable[[Alarmed], Array]] = {"steps": _step_counts, "events": _event_counts}
    rows = []
    for kind, counts in kinds.items():
        counted = [counts(one) for one in judged]
        for number, figure in enumerate(("precision", "recall", "F1")):
            found = resampled(counted, lambda s, i=number: _ratio(np.sum(s, axis=0), i))  # type: ignore[misc]
            paper, words = published if (kind, figure) == ("steps", "F1") else ("", "")
            told = f"{name}: {figure} of {kind} against {truth}"
            rows.append(Row(section=SECTION, name=told, of=of, figure=found, paper=paper, comparable=words))
    return rows


def timing_rows(judged: Sequence[Alarmed], name: str, of: str) -> list[Row]:
    """How early the alarm comes before a person or the end of a failure, and how often it comes for nothing."""
    ended = [lead for one in judged for lead in _leads(one)]
    known = [lead for lead in ended if math.isfinite(lead)]
    alone = [one for one in judged if one.episode.policy_alone and one.episode.success is not None]
    calm = [one for one in alone if one.episode.success]
    quartiles = np.quantile(known, [0.25, 0.75]) if known else (math.nan, math.nan)
    lines = [
        (f"lead before takeover or end of failure, median (half within {quartiles[0]:.1f} to {quartiles[1]:.1f})",
         resampled(known, lambda s: float(np.median(s))), "s"),
        ("takeovers and failures without an alarm before", Measured.share([not math.isfinite(x) for x in ended]), ""),
        ("alarms outside labels in unaided successes", resampled([_calm(one) for one in calm], _rate), "per minute"),
    ]  # fmt: skip
    rows = [Row(section=SECTION, name=f"{name}: {told}", of=of, figure=f, unit=unit) for told, f, unit in lines]
    balanced = resampled([(bool(one.episode.success), bool(one.alarm.any())) for one in alone], _balanced)
    told = f"{name}: balanced accuracy of episodes"
    last = Row(section=SECTION, name=told, of=of, figure=balanced, paper=BALANCED_PAPER, comparable=BALANCED_WORDS)
    return [*rows, last]


def _step_counts(one: Alarmed) -> Array:
    """(tp, fp, fn) over the labelled steps of an episode."""
    known = np.isfinite(one.label)
    alarm, label = one.alarm[known], one.label[known] == 1
    return np.array([(alarm & label).sum(), (alarm & ~label).sum(), (~alarm & label).sum()])


def _event_counts(one: Alarmed) -> Array:
    """(tp, fp, fn) over the triggers and labelled onsets of an episode."""
    onsets = [start for start, _ in true_runs(one.label == 1)]
    found = trigger_event_scores(one.alarm, onsets, BEFORE, AFTER)
    return np.array([found.tp, found.fp, found.fn])


def _ratio(counts: Array, figure: int) -> float:
    """Precision, recall or F1 of (tp, fp, fn)."""
    tp, fp, fn = (float(x) for x in counts)
    whole = (tp + fp, tp + fn, tp + (fp + fn) / 2)[figure]
    return tp / whole if whole else math.nan


def _leads(one: Alarmed) -> list[float]:
    """Seconds from the first alarm of each policy run to the takeover or failure that ends it; inf without alarm."""
    episode, leads = one.episode, []
    runs = episode.runs
    for index, (start, stop) in enumerate(runs):
        taken = index + 1 < len(runs) and episode.source[stop] == ActionSource.HUMAN
        failed = stop == len(episode) and episode.success is False
        if episode.source[start] == ActionSource.POLICY and (taken or failed):
            found = np.flatnonzero(one.alarm[start:stop])
            leads.append((stop - start - int(found[0])) / episode.fps if len(found) else math.inf)
    return leads


def _calm(one: Alarmed) -> tuple[int, float]:
    """(alarms, minutes) outside the labels of an episode."""
    calm = one.label == 0
    return sum(bool(calm[start]) for start, _ in true_runs(one.alarm)), float(calm.sum() / one.episode.fps / 60)


def _rate(counted: Sequence[tuple[int, float]]) -> float:
    minutes = sum(minutes for _, minutes in counted)
    return sum(alarms for alarms, _ in counted) / minutes if minutes else math.nan


def _balanced(outcomes: Sequence[tuple[bool, bool]]) -> float:
    """Of (success, alarmed) pairs: the mean of failures flagged and successes left alone."""
    flagged = [alarm for success, alarm in outcomes if not success]
    quiet = [not alarm for success, alarm in outcomes if success]
    return (float(np.mean(flagged)) + float(np.mean(quiet))) / 2 if flagged and quiet else math.nan
