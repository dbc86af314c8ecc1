"""The intervention model: its targets, its loss, and that no net judges what it learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_samples import HOLD, HUMAN, INTERVENTION, POLICY, RECOVERY, episodes, fitted, flip, stagnation, step_data

from episodes.errors import DataRefused, IntegrityError
from episodes.record import Array
from models import checkpoint
from models.curve import control_runs
from models.intervention import InterventionModel, fit_intervention, focal_loss, risk_targets, training_labels
from models.risk import value_risk
from models.stall import trailing_mean

LABELS = {e.episode_id: stagnation(e) for e in episodes()}


def refit(labels: dict[str, Array]) -> InterventionModel:
    return fit_intervention(episodes(), labels, fitted().value, INTERVENTION, curves=fitted().curves, value_hash="v")


def weights(model: InterventionModel) -> list[bytes]:
    return [b"".join(t.numpy().tobytes() for t in net.state_dict().values()) for net in model.nets]


def test_equal_seeds_make_equal_nets() -> None:
    assert weights(refit(LABELS)) == weights(fitted().intervention)


@pytest.mark.parametrize("which", [8, 20])
def test_the_net_that_judges_an_episode_does_not_know_its_labels(which: int) -> None:
    episode = episodes()[which]
    after = weights(refit(LABELS | {episode.episode_id: 1 - LABELS[episode.episode_id]}))
    own = fitted().value.fold_of[episode.group_id]
    assert [k for k, before in enumerate(weights(fitted().intervention)) if before == after[k]] == [own]


def test_episodes_that_all_nets_judge_teach_none() -> None:
    """The test split, and those whose outcome nobody knew when the value model was made."""
    others = {e.episode_id: 1 - LABELS[e.episode_id] for e in episodes() if e.group_id not in fitted().value.fold_of}
    assert len(others) == 4
    assert weights(refit(LABELS | others)) == weights(fitted().intervention)


def test_unsure_steps_teach_the_trigger_nothing() -> None:
    labels = training_labels(step_data(0), np.array([0.0, 1.0, np.nan, *[0.0] * 21]))
    np.testing.assert_array_equal(labels[:4], [0, 1, np.nan, 0])


def test_a_person_standing_still_is_no_stall() -> None:
    source = np.array([POLICY, HUMAN, HOLD, RECOVERY], np.uint8)
    given = np.ones(4)
    np.testing.assert_array_equal(training_labels(step_data(0, source=source), given), [1, np.nan, np.nan, 1])
    assert given.all()  # the audited labels themselves stay


def test_risk_starts_again_at_every_change_of_source() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 12)
    source = np.array([POLICY] * 5 + [HUMAN] * 7, np.uint8)
    parts = [value_risk(values[:5], window=8), value_risk(values[5:], window=8)]
    np.testing.assert_array_equal(
        risk_targets(values, control_runs(source, length=len(source)), INTERVENTION), np.concatenate(parts)
    )


def test_the_focal_loss_is_its_formula() -> None:
    logit, label = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([1.0, 1.0, 0.0])
    p = 1 / (1 + np.exp(-logit.numpy()))
    sure = np.where(label.numpy() > 0.5, p, 1 - p)
    weight = np.where(label.numpy() > 0.5, 0.75, 0.25)
    expected = (-weight * (1 - sure) ** 2 * np.log(sure)).mean()
    assert float(focal_loss(logit, label, 0.75, 2.0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("which", [8, 29])
def test_curves_are_means_over_the_nets_that_may_judge(which: int) -> None:
    episode, model = episodes()[which], fitted().intervention
    values = fitted().curves[episode.episode_id]
    curves = model.curves(fitted().value, episode, values)
    logits = []
    for k, z, v in zip(values.nets, values.latents, values.net_values, strict=True):
        inputs = (z, episode.executed_action, fitted().value.history(episode, v))
        with torch.no_grad():
            out = model.nets[k](*(torch.as_tensor(np.asarray(x, np.float32)) for x in inputs))
        logits.append(out["trigger"].double().numpy())
        assert (out["next_value"].shape, out["future"].shape) == ((len(episode), 2), z.shape)
    np.testing.assert_allclose(curves.trigger_logit, np.mean(logits, axis=0))
    smooth = [trailing_mean(1 / (1 + np.exp(-logit)), episode.runs) for logit in logits]
    np.testing.assert_allclose(curves.net_probabilities, smooth)
    assert curves.risk.shape == curves.next_value.shape == (len(episode),)


def test_an_action_nobody_knows_is_no_action() -> None:
    episode = episodes()[8]
    values = fitted().curves[episode.episode_id]
    lost = replace(episode, executed_action=np.full_like(episode.executed_action, np.nan))
    still = replace(episode, executed_action=np.zeros_like(episode.executed_action))
    a, b = (fitted().intervention.curves(fitted().value, e, values).trigger_logit for e in (lost, still))
    np.testing.assert_array_equal(a, b)


def test_a_saved_model_gives_equal_curves_and_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    fitted().intervention.save(tmp_path)
    loaded = InterventionModel.load(tmp_path)
    episode = episodes()[29]
    values = fitted().curves[episode.episode_id]
    a, b = (m.curves(fitted().value, episode, values).net_probabilities for m in (loaded, fitted().intervention))
    np.testing.assert_array_equal(a, b)
    assert (loaded.value_hash, loaded.action_size) == ("v", 2)
    flip(tmp_path / checkpoint.WEIGHTS, 5000)
    with pytest.raises(IntegrityError):
        InterventionModel.load(tmp_path)


def test_missing_and_extra_tensors_are_refused(tmp_path: Path) -> None:
    fitted().intervention.save(tmp_path)
    tensors, config = checkpoint.load(tmp_path, "intervention")
    checkpoint.save(tmp_path, tensors, {**config, "nets": 3})
    with pytest.raises(IntegrityError, match=r"'net3\."):
        InterventionModel.load(tmp_path)
    checkpoint.save(tmp_path, tensors, {**config, "nets": 5})
    with pytest.raises(IntegrityError, match=r"'net4\."):
        InterventionModel.load(tmp_path)


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_labels_of_one_class_teach_no_trigger(only: float) -> None:
    with pytest.raises(DataRefused, match="page Trigger labels"):
        refit({name: np.full(len(label), only) for name, label in LABELS.items()})


def test_without_labels_it_says_so() -> None:
    with pytest.raises(DataRefused, match="has labels"):
        refit({})
