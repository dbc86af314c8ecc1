"""Forms of the trigger: each promise holds over draws, a budget is kept, and the gate holds and waits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import episodes, fitted

from episodes.errors import DataRefused, UsageError
from models.calibration import Calibration
from models.trigger import TriggerConfig, fit_trigger
from models.trigger_forms import FORMS, AlarmGate, budget_threshold, episodes_needed, form_thresholds, gated, score_of


def runs(seed: int, count: int) -> list[Calibration]:
    rng = np.random.default_rng(seed)
    return [
        Calibration(
            cusum=rng.gamma(2, 1, 20), probability=rng.beta(1, 4, 20), own=np.ones(20, bool), label=np.zeros(20)
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "tvr"])
def test_a_further_success_alarms_no_more_often_than_promised(form: str) -> None:
    """40 successes calibrate, 400 more are judged, over 30 draws: the mean rate is at most alpha, up to chance."""
    rates = []
    for seed in range(30):
        found = form_thresholds(form, runs(seed, 40), alpha=0.2, early_alpha=0.3, tau=0.5)
        assert found.early <= found.alarm
        scores = [
            score_of(form, r.cusum / found.cusum, r.probability / found.probability) for r in runs(seed + 99, 400)
        ]
        rates.append(np.mean([np.max(score) > found.alarm for score in scores]))
    assert 0.05 < np.mean(rates) < 0.23


def test_the_published_form_has_a_fixed_threshold_and_needs_no_success() -> None:
    found = form_thresholds("tvr", [], alpha=0.1, early_alpha=0.2, tau=0.4)
    assert (found.alarm, found.early, episodes_needed("tvr", 0.1)) == (0.4, 0.4, 0)
    assert episodes_needed("either", 0.1) == 19


def test_of_one_policy_alone_the_others_do_not_count_and_what_is_missing_is_said() -> None:
    f, data = fitted(), list(episodes())
    config = TriggerConfig(policy="bc-2", alpha=0.4)
    fit = lambda given: fit_trigger(  # noqa: E731
        given, f.labels, f.value, f.intervention, config, curves=f.curves, intervention_hash="i"
    )
    with pytest.raises(DataRefused, match=r"policy successes of bc-2 for alpha 0\.4, 2 are missing"):
        fit(data)
    clean = [e for e in data if e.success and e.policy_alone and e.group_id in f.value.fold_of][:3]
    newer = [replace(e, policy_id="bc-2") if any(e is c for c in clean) else e for e in data]
    trigger = fit(newer)
    assert (trigger.policy_ids, trigger.calibration_episodes) == (("bc-2",), 3)


def test_a_budget_is_kept_on_further_successes() -> None:
    rng = np.random.default_rng(3)
    scores = [np.convolve(rng.normal(size=600), np.ones(5), "same") for _ in range(60)]
    level = budget_threshold(scores, 10.0, 2.0, cooldown=10)
    further = [np.convolve(rng.normal(size=600), np.ones(5), "same") for _ in range(400)]
    alarms = [gated(score, [(0, 600)], AlarmGate(level, 1.0, 10)) for score in further]
    rises = np.mean([np.sum(a[1:] & ~a[:-1]) + a[0] for a in alarms])
    assert 0.5 < rises <= 2.2
    with pytest.raises(DataRefused, match=r"2 unaided policy successes cannot show a budget .* collect 27 more"):
        budget_threshold(scores[:2], 10.0, 0.1)


@given(st.lists(st.floats(0, 2), max_size=40))
def test_the_plain_gate_is_a_comparison(scores: list[float]) -> None:
    values = np.array(scores)
    np.testing.assert_array_equal(gated(values, [(0, len(values))], AlarmGate(1.0)), values > 1.0)


def test_a_gate_holds_on_and_waits() -> None:
    scores = np.array([0.5, 1.2, 0.9, 0.7, 1.5, 1.5, 1.5])
    assert gated(scores, [(0, 7)], AlarmGate(1.0, 0.8)).tolist() == [False, True, True, False, True, True, True]
    assert gated(scores, [(0, 7)], AlarmGate(1.0, 0.8, 2)).tolist() == [False, True, True, False, False, False, True]
    assert gated(scores, [(0, 4), (4, 7)], AlarmGate(1.0, 0.8, 2))[4]


@pytest.mark.parametrize(
    "wrong", [{"form": "or"}, {"form": "tvr", "tau": 1.0}, {"stay": 0.0}, {"budget_per_min": -1.0}]
)
def test_a_trigger_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"; use|needs"):
        TriggerConfig(**wrong)  # type: ignore[arg-type]
