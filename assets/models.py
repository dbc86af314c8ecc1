"""What acts on the robot: the base policy, the intervention model with its trigger, the recovery policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from assets import inputs, learning
from assets.episodes import assigned
from assets.graph import stage
from assets.making import Made, Work
from assets.manifest import CheckResult
from models.conformal import statement
from models.metrics import wilson_interval

if TYPE_CHECKING:
    from models.chunks import Answered
    from models.dataset import StepData
    from models.trigger import Trigger


@stage("models/policy")
def policy(work: Work) -> Made:
    """Clone the complete demonstrations of the splits that models learn from; V is judged on the others."""
    from models.dataset import TRAINED_SPLITS
    from models.policy import fit_policy

    complete = [episode for episode in inputs.decided(work, assigned(work)) if episode.success is not False]
    demonstrations = [episode for episode in complete if episode.split in TRAINED_SPLITS]
    validation = [episode for episode in complete if episode.split == "validation"]
    training = learning.training(work)
    config, progress = work.config("policy"), work.progress
    fitted = fit_policy(demonstrations, config, progress=progress, training=training, validation=validation)
    told = {"model": fitted.save(work.out), "demonstrations": len(demonstrations)}
    told["held out"] = len(complete) - len(demonstrations)
    learned, drawn = learning.told(work, training)
    return Made(metadata=told | learned, plots=drawn)


@stage("models/intervention")
def intervention(work: Work) -> Made:
    """Train on the audited labels, then calibrate the trigger on the policy's own unaided successes."""
    from models.intervention import fit_intervention
    from models.labelling import trained_labels
    from models.trigger import fit_trigger, held_out_alarms

    episodes, value = inputs.episodes(work), inputs.value_model(work)
    audited = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    labels = trained_labels(audited, {episode.episode_id: len(episode) for episode in episodes})
    value_hash, training = inputs.value_hash(work), learning.training(work)
    curves = {e.episode_id: curve for session in work.sessions for e, curve in inputs.judged(work, session)}
    fitted = fit_intervention(
        episodes,
        labels,
        value,
        work.config("intervention"),
        curves=curves,
        value_hash=value_hash,
        progress=work.progress,
        training=training,
    )
    model_hash = fitted.save(work.out)
    trigger = fit_trigger(
        episodes, labels, value, fitted, work.config("trigger"), curves=curves, intervention_hash=model_hash
    )
    trigger.save(work.out)
    alarms = held_out_alarms(trigger, episodes, value, fitted, curves)
    told = {"model": model_hash, "threshold": trigger.threshold, "early threshold": trigger.early_threshold}
    calibration = {
        "form": trigger.config.form,
        "calibrated on": trigger.calibration_episodes,
        "alarm rate on those it was calibrated on": trigger.alarm_rate,
    }
    read = {"label freeze": inputs.freeze_name(work, "labels/audited") or "none", "audited intervals": len(audited)}
    learned, drawn = learning.told(work, training)
    return Made(
        metadata=told | calibration | read | learned,
        checks=(_calibrated(trigger, alarms),),
        plots=drawn,
    )


def _calibrated(trigger: Trigger, alarms: dict[str, list[bool]]) -> CheckResult:
    """Held-out successes alarm about as often as promised: the interval reaches down to alpha.

    Those of a policy version that it was not calibrated on may alarm twice as often before it must be.
    """
    config, promise = trigger.config, "nothing is promised: tau is fixed"
    if config.form != "tvr":
        promise = statement(config.alpha, trigger.calibration_episodes)
    told, wanting = [], []
    for policy, alarmed in sorted(alarms.items()):
        own = policy in trigger.policy_ids
        low, _ = wilson_interval(sum(alarmed), len(alarmed))
        whose = "held-out" if own else f"{policy}'s"
        told.append(f"{sum(alarmed)} of {len(alarmed)} {whose} successes alarm (at least {low:.2f} of all)")
        if low > (config.alpha if own else 2 * config.alpha):
            remedy = "train the value again" if own else f"set trigger.policy to {policy}"
            wanting.append(f"{whose} successes alarm more often than promised: {remedy}")
    sentence = "; ".join([*wanting, *(told or ["0 held-out successes"]), promise])
    figures = {f"alarmed, {policy}": sum(alarmed) for policy, alarmed in alarms.items()}
    return CheckResult(
        name="calibrated", passed=not wanting or config.form == "tvr", sentence=sentence, figures=figures
    )


@stage("models/recovery")
def recovery(work: Work) -> Made:
    """Clone what people did while they drove, towards where they came to, with the head that the settings choose."""
    from models.recovery_heads import fit_recovery_policy

    head, episodes, training = work.config("recovery_head"), inputs.episodes(work), learning.training(work)
    retrieved = _answered(work, episodes) if head.target == "retrieved" else ()
    config, progress = work.config("recovery"), work.progress
    fitted = fit_recovery_policy(episodes, config, head, retrieved=retrieved, progress=progress, training=training)
    told: dict[str, Any] = {"model": fitted.save(work.out), "head": head.head, "target": head.target}
    told |= {"stuck states with an answer": len(retrieved)} if retrieved else {}
    learned, drawn = learning.told(work, training)
    return Made(metadata=told | learned, plots=drawn)


def _answered(work: Work, episodes: Sequence[StepData]) -> list[Answered]:
    """What memory gives to the labelled stalls."""
    from models.chunks import answered
    from models.labelling import trained_labels
    from models.memory import RecoveryMemory
    from models.recall import SituationEncoder

    place = work.upstream("memory/recovery")
    encoder = SituationEncoder.load(place)
    memory = RecoveryMemory.load(place, encoder.encoder_id)
    audited = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    stuck = trained_labels(audited, {episode.episode_id: len(episode) for episode in episodes})
    return list(answered(memory, encoder, episodes, inputs.values(work), stuck))
