"""The trigger: its score, its threshold out of fold, and when it refuses to be calibrated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_samples import episodes, fitted, flip

from episodes.errors import DataRefused, IntegrityError
from episodes.record import ActionSource
from models.conformal import conformal_threshold
from models.cusum import cusum
from models.trigger import FILE, Trigger, TriggerConfig, fit_trigger, held_out_alarms

OWN = [e for e in episodes() if e.success and e.policy_alone and e.split != "test"]


def refit(data: list, alpha: float = 0.1) -> Trigger:  # type: ignore[type-arg]
    f = fitted()
    return fit_trigger(
        data, f.labels, f.value, f.intervention, TriggerConfig(alpha=alpha), curves=f.curves, intervention_hash="i"
    )


def scores(trigger: Trigger, which: list) -> list[np.ndarray]:  # type: ignore[type-arg]
    f = fitted()
    values = [f.curves[e.episode_id] for e in which]
    return [trigger.scores(e, v, f.intervention.curves(f.value, e, v)) for e, v in zip(which, values, strict=True)]


def test_the_score_is_two_shares_of_two_thresholds() -> None:
    trigger, f = fitted().trigger, fitted()
    episode = episodes()[25]
    values = f.curves[episode.episode_id]
    curves = f.intervention.curves(f.value, episode, values)
    drift = 0.5 / (f.value.median_duration_s * 10)
    alone = [np.concatenate([cusum(v[a:b], drift=drift) for a, b in episode.runs]) for v in values.net_values]
    owed = np.mean(alone, axis=0)
    expected = owed / trigger.cusum_threshold + curves.net_probabilities.mean(axis=0) / trigger.probability_threshold
    np.testing.assert_allclose(trigger.scores(episode, values, curves), expected)
    assert trigger.score(1.0, 0.5) == 1 / trigger.cusum_threshold + 0.5 / trigger.probability_threshold


def test_the_threshold_is_conformal_on_the_policys_own_unaided_successes() -> None:
    trigger = fitted().trigger
    peaks = np.array([s.max() for s in scores(trigger, OWN)])
    assert trigger.calibration_episodes == len(OWN) == 14
    assert trigger.threshold == pytest.approx(conformal_threshold(peaks, 0.1))
    assert trigger.alarm_rate == np.mean(peaks > trigger.threshold)
    assert trigger.alarm_rate <= 0.1
    assert trigger.policy_ids == ("bc-1",)


def test_the_early_threshold_asks_for_silence_outside_the_labels_only() -> None:
    plain, f = fitted().trigger, fitted()
    peaks = np.array([s.max() for s in scores(plain, OWN)])
    assert plain.early_threshold == pytest.approx(conformal_threshold(peaks, 0.2))  # nothing is labelled in a success
    loud = OWN[int(np.argsort(peaks)[-3])]
    stuck = f.labels | {loud.episode_id: np.ones(len(loud))}
    early = fit_trigger(OWN, stuck, f.value, f.intervention, TriggerConfig(), curves=f.curves, intervention_hash="i")
    others = np.where([e is loud for e in OWN], 0.0, peaks)
    assert early.early_threshold == pytest.approx(conformal_threshold(others, 0.2))
    assert early.early_threshold < plain.early_threshold
    assert early.threshold == plain.threshold
    unsure = f.labels | {loud.episode_id: np.full(len(loud), np.nan)}
    assert (
        fit_trigger(OWN, unsure, f.value, f.intervention, TriggerConfig(), curves=f.curves, intervention_hash="i")
        == early
    )


def test_demonstrations_takeovers_failures_and_held_out_episodes_do_not_count() -> None:
    assert refit(list(OWN)) == fitted().trigger


def test_too_few_successes_are_refused_with_how_many_are_missing() -> None:
    assert refit(OWN[:9]).calibration_episodes == 9
    with pytest.raises(DataRefused, match=r"trigger of insert needs 9 .* alpha 0\.1, 2 are missing.*page Episodes"):
        refit(OWN[:7])
    with pytest.raises(DataRefused, match=r"needs 19 .*5 are missing"):
        refit(OWN, alpha=0.05)
    with pytest.raises(DataRefused, match="9 are missing"):
        refit([replace(e, success=None) for e in OWN])


def test_it_comes_back_equal_and_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    fitted().trigger.save(tmp_path)
    assert Trigger.load(tmp_path) == fitted().trigger
    for place in (20, 60, 200, 333):
        flip(tmp_path / FILE, place)
        with pytest.raises(IntegrityError, match=r"trigger\.json"):
            Trigger.load(tmp_path)
        flip(tmp_path / FILE, place)
    (tmp_path / FILE).unlink()
    with pytest.raises(IntegrityError, match=r"no trigger\.json"):
        Trigger.load(tmp_path)


def test_held_out_successes_of_the_policy_alone_are_asked() -> None:
    f, quiet = fitted(), replace(fitted().trigger, threshold=np.inf)
    own = [e for e in episodes() if e.success and e.policy_alone and e.split == "test"]
    loudest = max(s.max() for s in scores(quiet, own))
    asked = replace(quiet, threshold=float(loudest) - 1e-9)
    assert held_out_alarms(quiet, episodes(), f.value, f.intervention, f.curves) == {"bc-1": [False] * len(own)}
    assert sum(held_out_alarms(asked, episodes(), f.value, f.intervention, f.curves)["bc-1"]) == 1
    unseen = held_out_alarms(replace(quiet, policy_ids=("bc-0",)), episodes(), f.value, f.intervention, f.curves)
    assert len(unseen["bc-1"]) == len(OWN) + len(own), "what it was not calibrated on says whether it must be"


def test_for_a_learning_policy_what_a_recovery_helped_counts_too_at_the_policys_own_steps() -> None:
    f, data = fitted(), list(episodes())
    helped = OWN[0]
    source = helped.source.copy()
    source[-4:] = ActionSource.RECOVERY
    given = [replace(e, source=source) if e is helped else e for e in data]
    config = TriggerConfig(learning=True)
    trigger = fit_trigger(given, f.labels, f.value, f.intervention, config, curves=f.curves, intervention_hash="i")
    demonstrations = [e for e in data if e.success and e.collection == "demo" and e.group_id in f.value.fold_of]
    assert trigger.calibration_episodes == len(OWN) + len(demonstrations)
    last = fit_trigger(
        given, f.labels, f.value, f.intervention, replace(config, recent=9), curves=f.curves, intervention_hash="i"
    )
    assert last.calibration_episodes == 9
    plain = refit(given)
    assert plain.calibration_episodes == len(OWN) - 1
