"""The trigger: when to intervene, with a bound on false alarms.

Score = CUSUM of V over its own alpha threshold + learned probability over its own. The robot triggers when the score
passes a split-conformal threshold taken from the out-of-fold scores of the policy's own unaided successes: a further
success by the same policy sees an alarm with probability about alpha at most. "About", because the two scales come from
those same successes and a new run is scored by all nets, not by one. A changed policy needs a new calibration.
Two thresholds are kept. The alarm, at `alpha`, judges whole episodes: a success that was stuck for a while and freed
itself counts as one that must not alarm. The early alarm, at `early_alpha`, starts a recovery on the robot: there a
stall may alarm whatever comes of it, so only the steps outside the audited labels count. The labels are made from the
same curves, so its rate holds for what the labels leave out, no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from episodes.errors import DataRefused, UsageError
from episodes.record import ActionSource, Array
from models.calibration import Calibration, calibration_successes
from models.cusum import cusum
from models.dataset import StepData
from models.intervention import InterventionCurves, InterventionModel
from models.sealed import as_written, read_sealed, write_sealed
from models.trigger_forms import FORMS, AlarmGate, budget_threshold, episodes_needed, form_thresholds, score_of
from models.value import ValueCurves, ValueModel

FILE = "trigger.json"
Score = TypeVar("Score", float, Array)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerConfig:
    """Settings of the trigger."""

    alpha: float = 0.1
    """share of successes that may see a false alarm"""
    early_alpha: float = 0.2
    """share of successes that may see a false early alarm, outside what is labelled as a stall"""
    drift: float = 0.5
    """expected gain of V in one median duration, below which the CUSUM grows"""
    learning: bool = False
    """the policy still changes and recoveries help it: calibrate on every success that no person had to help, at the
    steps that were not a recovery's, and on demonstrations. Otherwise those successes alone would count in which the
    trigger stayed silent, and each calibration would be stricter than the one before. For the early alarm no step
    after a success's first stall counts either: its CUSUM still owes what that stall has cost"""
    recent: int = 40
    """how many of these, the last ones given"""
    form: str = "sum"
    """what makes the score: sum, cusum, head, either or tvr (`models.trigger_forms`)"""
    tau: float = 0.5
    """of the form tvr: sigmoid of the predicted risk above which it fires"""
    policy: str = ""
    """policy version on whose successes to calibrate; empty: on those of all"""
    budget_per_min: float = 0.0
    """triggers a minute that a success may see, instead of `early_alpha`; 0: no budget"""
    stay: float = 1.0
    """share of the early threshold above which an early alarm that is on stays on"""
    cooldown_s: float = 0.0
    """time after an early alarm before the next"""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(f"there is no trigger form {self.form!r}; use one of {', '.join(FORMS)}")
        if self.form == "tvr" and not 0 < self.tau < 1:
            raise UsageError(f"tau is {self.tau}; use a probability between 0 and 1, such as 0.5")
        if not (self.budget_per_min >= 0 and 0 < self.stay <= 1 and self.cooldown_s >= 0):
            raise UsageError("a trigger needs a budget and a cool-down of 0 or more, and stay above 0, 1 at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Calibrated thresholds; `score > threshold` fires."""

    config: TriggerConfig
    median_steps: float
    """T_med, steps: the unit of the CUSUM's drift"""
    cusum_threshold: float
    probability_threshold: float
    threshold: float
    """at `alpha`"""
    early_threshold: float
    """at `early_alpha`, never above `threshold`; the robot's monitor fires here"""
    calibration_episodes: int
    alarm_rate: float
    """share of the calibration successes above the threshold, out of fold"""
    policy_ids: tuple[str, ...]
    """whose successes it was calibrated on"""
    value_hash: str
    intervention_hash: str

    def score(self, cusum_mean: Score, probability_mean: Score) -> Score:
        """Score of two curves (T,), or of one step's two numbers; each the mean over the nets."""
        shares = cusum_mean / self.cusum_threshold, probability_mean / self.probability_threshold
        return score_of(self.config.form, *shares)  # type: ignore[return-value]

    def gate(self, fps: float) -> AlarmGate:
        """The early alarm, step by step."""
        return AlarmGate(self.early_threshold, self.config.stay, round(self.config.cooldown_s * fps))

    def parts(self, episode: StepData, values: ValueCurves, curves: InterventionCurves) -> tuple[Array, Array]:
        """The two curves (T,) of which the score is made: CUSUM of V, and learned probability."""
        drift = self.config.drift / self.median_steps
        return mean_cusum(episode, values, drift), learned(curves, self.config.form)

    def scores(self, episode: StepData, values: ValueCurves, curves: InterventionCurves) -> Array:
        """(T,) score of an episode."""
        return self.score(*self.parts(episode, values, curves))

    def save(self, directory: Path) -> None:
        """Write `trigger.json`."""
        write_sealed(directory / FILE, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> Trigger:
        """Read what `save` wrote; `IntegrityError` on any changed byte."""
        saved = read_sealed(directory / FILE)
        with as_written(directory):
            config = TriggerConfig(**saved.pop("config"))
            return cls(config=config, **{**saved, "policy_ids": tuple(saved["policy_ids"])})


def mean_cusum(episode: StepData, values: ValueCurves, drift: float) -> Array:
    """(T,) CUSUM of each net's V, averaged: scores are averaged, never the values, which would be smoother."""
    parts = [[cusum(v[start:stop], drift=drift) for start, stop in episode.runs] for v in values.net_values]
    return np.asarray(np.mean([np.concatenate(part) for part in parts], axis=0))


def learned(curves: InterventionCurves, form: str) -> Array:
    """(T,) probability of the trigger head; of the form tvr, sigmoid of the predicted risk."""
    return 1 / (1 + np.exp(-curves.risk)) if form == "tvr" else np.asarray(curves.net_probabilities.mean(axis=0))


def fit_trigger(
    episodes: Sequence[StepData],
    labels: Mapping[str, Array],
    model: ValueModel,
    intervention: InterventionModel,
    config: TriggerConfig,
    *,
    curves: Mapping[str, ValueCurves],
    intervention_hash: str,
) -> Trigger:
    """Calibrate on the out-of-fold scores of the policy's unaided successes among the model's own episodes.

    `labels`: episode_id -> (T,) 1, 0 or NaN, the audited stagnation; `curves`: episode_id -> what `model.curves` gives.
    Raises `DataRefused` where there are fewer than the statement needs, and says how many are missing.
    """
    clean = calibration_successes(episodes, model.fold_of, learning=config.learning, recent=config.recent)
    clean = [e for e in clean if not config.policy or e.policy_id == config.policy]
    enough = episodes_needed(config.form, config.alpha)
    missing = enough - len(clean)
    if missing > 0:
        whose = f"of {config.policy} " if config.policy else ""
        raise DataRefused(
            f"the trigger of {episodes[0].task} needs {enough} unaided policy successes {whose}for alpha "
            f"{config.alpha:g}, {missing} are missing; collect more rollouts or give outcomes on the page Episodes"
        )
    median_steps = model.median_duration_s * model.fps
    drift = config.drift / median_steps
    runs = []
    for episode in clean:
        values, label = curves[episode.episode_id], labels[episode.episode_id]
        runs.append(
            Calibration(
                cusum=mean_cusum(episode, values, drift),
                probability=learned(intervention.curves(model, episode, values), config.form),
                own=episode.source != ActionSource.RECOVERY,
                label=np.maximum.accumulate(label) if config.learning else label,
            )
        )
    fitted = form_thresholds(config.form, runs, alpha=config.alpha, early_alpha=config.early_alpha, tau=config.tau)
    trigger = Trigger(
        config=config,
        median_steps=median_steps,
        cusum_threshold=fitted.cusum,
        probability_threshold=fitted.probability,
        threshold=fitted.alarm,
        early_threshold=fitted.early,
        calibration_episodes=len(clean),
        alarm_rate=fitted.alarm_rate,
        policy_ids=tuple(sorted({e.policy_id for e in clean})),
        value_hash=intervention.value_hash,
        intervention_hash=intervention_hash,
    )
    if not config.budget_per_min:
        return trigger
    scores = [np.asarray(trigger.score(run.cusum, run.probability))[run.own] for run in runs]
    gate = trigger.gate(model.fps)
    early = budget_threshold(scores, model.fps, config.budget_per_min, stay=gate.stay, cooldown=gate.cooldown)
    return replace(trigger, early_threshold=early)


def held_out_alarms(
    trigger: Trigger,
    episodes: Sequence[StepData],
    model: ValueModel,
    intervention: InterventionModel,
    curves: Mapping[str, ValueCurves],
) -> dict[str, list[bool]]:
    """Whether each of a policy's unaided successes that the trigger was not calibrated on sees an alarm, by policy.

    Those of the policies it was calibrated on are held out of everything; of another version all are, since its alarms
    say whether it needs a calibration of its own.
    """
    alarms: dict[str, list[bool]] = {}
    for episode in episodes:
        own = episode.policy_id in trigger.policy_ids
        if episode.success and episode.policy_alone and not (own and episode.group_id in model.fold_of):
            values = curves[episode.episode_id]
            score = trigger.scores(episode, values, intervention.curves(model, episode, values))
            alarms.setdefault(episode.policy_id, []).append(bool((score > trigger.threshold).any()))
    return alarms
