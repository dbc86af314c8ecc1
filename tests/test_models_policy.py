"""Behaviour cloning: it learns a plain rule, from a person's known actions only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_samples import POLICY, flip, step_data

from episodes.errors import DataRefused, IntegrityError
from models import checkpoint
from models.dataset import StepData
from models.policy import BehaviourPolicy, PolicyConfig, fit_policy

CONFIG = PolicyConfig(hidden=32, steps=250, batch=64, learning_rate=5e-3, input_noise=0.0)


def demo(seed: int, **changes: object) -> StepData:
    """The action follows depth: (depth - .5, .5 - depth)."""
    episode = step_data(seed, collection="demo")
    depth = episode.proprio[:, 1:2]
    return replace(episode, **{"executed_action": np.hstack([depth - 0.5, 0.5 - depth]), **changes})


DEMOS = [demo(n) for n in range(4)]


@pytest.fixture(scope="module")
def policy() -> BehaviourPolicy:
    return fit_policy(DEMOS, CONFIG)


def test_it_learns_a_plain_rule(policy: BehaviourPolicy) -> None:
    unseen = demo(9)
    acted = np.stack([policy.act(x) for x in unseen.proprio])
    assert acted.shape == (len(unseen), 2)
    assert np.abs(acted - unseen.executed_action).mean() < 0.05


def test_only_a_persons_known_actions_are_cloned(policy: BehaviourPolicy) -> None:
    """Steps of the policy, and steps whose action nobody knows, change nothing."""
    first = DEMOS[0]
    source, action = first.source.copy(), first.executed_action.copy()
    source[-5:], action[-5:] = POLICY, 1.0
    kept = slice(0, len(first) - 5)
    cut = replace(first, **{n: getattr(first, n)[kept] for n in ("source", "proprio", "executed_action", "time_s")})
    lost = first.executed_action.copy()
    lost[-5:] = np.nan
    config = replace(CONFIG, steps=3)
    hands = [replace(first, source=source, executed_action=action), replace(first, executed_action=lost), cut]
    nets = [fit_policy([d, *DEMOS[1:]], config).net.state_dict() for d in hands]
    for name in nets[2]:
        assert torch.equal(nets[0][name], nets[2][name])
        assert torch.equal(nets[1][name], nets[2][name])


def test_what_weighs_next_to_nothing_teaches_next_to_nothing() -> None:
    wrong = [replace(d, executed_action=-d.executed_action, weight=1e-9) for d in DEMOS]
    policy, unseen = fit_policy([*DEMOS, *wrong], CONFIG), demo(9)
    acted = np.stack([policy.act(x) for x in unseen.proprio])
    assert np.abs(acted - unseen.executed_action).mean() < 0.05


def test_a_seed_fixes_it() -> None:
    config, told = replace(CONFIG, steps=250, hidden=4, input_noise=0.1), list[tuple[str, int, int]]()
    a = fit_policy(DEMOS, config, progress=lambda *seen: told.append(seen))
    b = fit_policy(DEMOS, config)
    np.testing.assert_array_equal(a.act(DEMOS[0].proprio[3]), b.act(DEMOS[0].proprio[3]))
    assert told == [("base policy", step, 250) for step in (*range(12, 250, 12), 250)]


def test_it_comes_back_equal_and_a_flipped_bit_is_refused(policy: BehaviourPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    loaded = BehaviourPolicy.load(tmp_path)
    np.testing.assert_array_equal(loaded.act(DEMOS[0].proprio[3]), policy.act(DEMOS[0].proprio[3]))
    assert (loaded.task, loaded.proprio_names, loaded.config) == ("insert", DEMOS[0].proprio_names, CONFIG)
    flip(tmp_path / checkpoint.WEIGHTS, 3000)
    with pytest.raises(IntegrityError):
        BehaviourPolicy.load(tmp_path)


@pytest.mark.parametrize("name", ["net.standardise.mean", "net.layers.0.weight"])
def test_a_missing_tensor_is_refused(policy: BehaviourPolicy, tmp_path: Path, name: str) -> None:
    policy.save(tmp_path)
    tensors, config = checkpoint.load(tmp_path, "policy")
    del tensors[name]
    checkpoint.save(tmp_path, tensors, config)
    with pytest.raises(IntegrityError, match="train again"):
        BehaviourPolicy.load(tmp_path)


def test_another_robots_observation_is_refused(policy: BehaviourPolicy) -> None:
    with pytest.raises(DataRefused, match="reads 4 proprio values, the robot gives 5"):
        policy.act(np.zeros(5, np.float32))


def test_what_cannot_be_cloned_is_refused() -> None:
    with pytest.raises(DataRefused, match="no demonstration to clone"):
        fit_policy([step_data(0)], CONFIG)
    with pytest.raises(DataRefused, match="no demonstration to clone"):
        fit_policy([demo(0, executed_action=np.full((24, 2), np.nan))], CONFIG)
    with pytest.raises(DataRefused, match="other proprio columns"):
        fit_policy([DEMOS[0], demo(1, proprio_names=("a", "b", "c", "d"))], CONFIG)
