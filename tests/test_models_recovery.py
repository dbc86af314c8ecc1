"""The recovery policy: chunks towards a goal, learned inside one stretch of a person's driving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_samples import HUMAN, POLICY, flip, step_data

from episodes.errors import DataRefused, IntegrityError
from models import checkpoint
from models.dataset import StepData
from models.recovery import HORIZON, RecoveryConfig, RecoveryPolicy, fit_recovery, situations

CONFIG = RecoveryConfig(hidden=32, steps=300, batch=64, learning_rate=5e-3, input_noise=0.0, goal_steps=(4, 8))


def driven(seed: int, direction: float, **changes: object) -> StepData:
    """A person drives depth from 0 up or down; the action is the direction."""
    episode = step_data(seed, collection="demo")
    steps = len(episode)
    proprio = np.zeros((steps, 4), np.float32)
    proprio[:, 1] = direction * np.linspace(0, 1, steps)
    action = np.tile(np.array([direction, -direction], np.float32) * 0.5, (steps, 1))
    return replace(episode, **{"proprio": proprio, "executed_action": action, **changes})


DRIVEN = [driven(n, 1.0 if n % 2 else -1.0) for n in range(6)]


@pytest.fixture(scope="module")
def policy() -> RecoveryPolicy:
    return fit_recovery(DRIVEN, CONFIG)


@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_the_chunk_leads_towards_the_goal(policy: RecoveryPolicy, direction: float) -> None:
    goal = policy.situation(np.array([9, direction * 0.3, 0, 0], np.float32))
    chunk = policy.chunk(policy.situation(np.zeros(4, np.float32)), goal)
    assert chunk.shape == (HORIZON, 2)
    np.testing.assert_allclose(chunk.mean(axis=0), [direction * 0.5, -direction * 0.5], atol=0.15)


def test_a_situation_has_no_absolute_pose(policy: RecoveryPolicy) -> None:
    here, there = np.array([0, 1, 2, 3.0]), np.array([7, 1, 2, 3.0])
    np.testing.assert_array_equal(policy.situation(here), policy.situation(there))
    assert situations(here[None], policy.proprio_names).shape == (1, 5)


def weights(episodes: list[StepData]) -> dict[str, torch.Tensor]:
    return fit_recovery(episodes, replace(CONFIG, steps=3)).net.state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_what_the_policy_did_and_what_lies_beyond_a_stretch_is_not_learned() -> None:
    mixed = driven(0, 1.0)
    source = mixed.source.copy()
    source[10:14] = POLICY
    mixed = replace(mixed, source=source)
    action, proprio = mixed.executed_action.copy(), mixed.proprio.copy()
    action[10:14], proprio[10:14] = 1.0, 5.0
    changed = replace(mixed, executed_action=action, proprio=proprio)
    assert equal(weights([mixed]), weights([changed]))
    assert not equal(weights([mixed]), weights([driven(0, 1.0)]))


def test_an_unknown_action_counts_for_nothing_and_not_for_standing_still() -> None:
    """Most actions are unknown: taken for 0 they would outvote the known ones."""
    random, holed = np.random.default_rng(0), []
    for episode in DRIVEN:
        action = episode.executed_action.copy()
        action[random.random(len(episode)) < 0.7] = np.nan
        holed.append(replace(episode, executed_action=action))
    policy = fit_recovery(holed, CONFIG)
    goal = policy.situation(np.array([0, 0.3, 0, 0], np.float32))
    chunk = policy.chunk(policy.situation(np.zeros(4, np.float32)), goal)
    np.testing.assert_allclose(chunk.mean(axis=0), [0.5, -0.5], atol=0.15)


def test_only_the_training_split_teaches() -> None:
    others = [
        replace(driven(n, -1.0), split=split) for n, split in enumerate(("test", "validation", "calibration"), 20)
    ]
    assert equal(weights(DRIVEN), weights([*DRIVEN, *others]))
    with pytest.raises(DataRefused, match="no training episode has a human segment"):
        fit_recovery(others, CONFIG)


def test_a_single_step_of_driving_is_no_recovery() -> None:
    source = np.zeros(24, np.uint8)
    source[7] = HUMAN
    with pytest.raises(DataRefused, match="human segment"):
        fit_recovery([driven(0, 1.0, source=source)], CONFIG)
    with pytest.raises(DataRefused, match="other steps a second"):
        fit_recovery([DRIVEN[0], driven(1, 1.0, fps=20.0)], CONFIG)


def test_it_comes_back_equal_and_a_flipped_bit_is_refused(policy: RecoveryPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    loaded = RecoveryPolicy.load(tmp_path)
    a = np.ones(5, np.float32)
    np.testing.assert_array_equal(loaded.chunk(a, -a), policy.chunk(a, -a))
    assert (loaded.config, loaded.task, loaded.proprio_names) == (CONFIG, "insert", DRIVEN[0].proprio_names)
    tensors, config = checkpoint.load(tmp_path, "recovery")
    checkpoint.save(tmp_path, {**tensors, "junk": torch.zeros(1)}, config)
    with pytest.raises(IntegrityError, match="'junk'"):
        RecoveryPolicy.load(tmp_path)
    flip(tmp_path / checkpoint.CONFIG, 100)
    with pytest.raises(IntegrityError):
        RecoveryPolicy.load(tmp_path)
