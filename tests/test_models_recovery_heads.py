"""Tokens come back as the chunk they were made of; each head follows its goal and comes back from disk equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import HUMAN, episodes, fitted, flip, step_data

from episodes.errors import DataRefused, IntegrityError, UsageError
from models.chunks import Answered, answered
from models.fast_tokens import FastTokens
from models.recall import MemoryConfig, build_memory
from models.recovery import RecoveryConfig, RecoveryPolicy
from models.recovery_heads import HeadPolicy, RecoveryHeadConfig, fit_recovery_policy, load_recovery_policy

WAVES = np.random.default_rng(0).normal(size=(200, 1, 3)) * 0.1 + np.linspace(0, 1, 8)[None, :, None]
CHUNKS = np.clip(WAVES, -1, 1)
TOKENS = FastTokens.fit(CHUNKS, scale=20.0, vocabulary=128)
CONFIG = RecoveryConfig(steps=150, batch=64, hidden=64, learning_rate=3e-3)


def moving(seed: int, direction: float) -> object:
    """A person moves the tool forwards or backwards at full speed, and the situation says where it is."""
    steps = 40
    place = direction * np.linspace(0, 1, steps)
    noise = np.random.default_rng(seed).normal(0, 0.01, (steps, 4))
    proprio = (np.stack([place, place, np.zeros(steps), np.zeros(steps)], 1) + noise).astype(np.float32)
    action = np.repeat([[direction * 0.8, 0.0]], steps, 0).astype(np.float32)
    time_s, pose = np.arange(steps) / 10, np.zeros((steps, 7))
    return step_data(seed, source=np.full(steps, HUMAN, np.uint8), proprio=proprio, executed_action=action,
                     time_s=time_s, ee_pose=pose, wrench=np.zeros((steps, 6)))  # fmt: skip


EPISODES = [moving(n, 1.0 if n % 2 else -1.0) for n in range(10)]


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_a_chunk_comes_back_up_to_the_rounding(seed: int) -> None:
    chunk = CHUNKS[seed % len(CHUNKS)]
    error = TOKENS.decode(TOKENS.encode(chunk)) - chunk
    assert np.linalg.norm(error) <= 0.5 / 20 * np.sqrt(chunk.size) + 1e-9


def test_merging_shortens_and_loses_nothing() -> None:
    plain = replace(TOKENS, merges=())
    lengths = [(len(TOKENS.encode(c)), len(plain.encode(c))) for c in CHUNKS]
    assert np.mean([a for a, _ in lengths]) < 0.6 * np.mean([b for _, b in lengths])
    assert all(np.array_equal(TOKENS.decode(TOKENS.encode(c)), plain.decode(plain.encode(c))) for c in CHUNKS[:20])
    assert TOKENS.vocabulary <= 128


def test_any_tokens_are_some_chunk() -> None:
    assert TOKENS.decode([]).shape == (8, 3)
    assert TOKENS.decode([TOKENS.vocabulary - 1] * 50).shape == (8, 3)
    with pytest.raises(DataRefused, match="finite"):
        FastTokens.fit(np.full((2, 8, 3), np.nan))


@pytest.mark.parametrize("head", ["tokens", "flow"])
def test_a_head_leads_towards_its_goal_and_comes_back_equal(head: str, tmp_path: Path) -> None:
    policy = fit_recovery_policy(EPISODES, CONFIG, RecoveryHeadConfig(head=head, vocabulary=64))  # type: ignore[arg-type]
    assert isinstance(policy, HeadPolicy)
    here = policy.situation(np.zeros(4, np.float32))
    for direction in (1.0, -1.0):
        goal = policy.situation(np.array([0, direction * 0.5, 0, 0], np.float32))
        chunk = policy.chunk(here, goal)
        assert chunk.shape == (8, 2)
        assert np.sign(chunk[:, 0].mean()) == direction
        assert abs(chunk[:, 0].mean() - 0.8 * direction) < 0.35
    policy.save(tmp_path)
    loaded = load_recovery_policy(tmp_path)
    np.testing.assert_array_equal(loaded.chunk(here, goal), policy.chunk(here, goal))
    flip(tmp_path / "model.safetensors", 300)
    with pytest.raises(IntegrityError, match="not what was written"):
        load_recovery_policy(tmp_path)


def test_the_default_is_the_regression_of_before(tmp_path: Path) -> None:
    policy = fit_recovery_policy(EPISODES, replace(CONFIG, steps=2), RecoveryHeadConfig())  # type: ignore[arg-type]
    assert isinstance(policy, RecoveryPolicy)
    policy.save(tmp_path)
    assert isinstance(load_recovery_policy(tmp_path), RecoveryPolicy)


@pytest.mark.parametrize("head", ["regression", "tokens", "flow"])
def test_each_head_learns_to_say_what_memory_said(head: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    known = [
        Answered(split="train", weight=1.0, situation=random.normal(0, 0.1, 4).astype(np.float32) + side,
                 goal=np.full(4, side, np.float32), chunk=np.full((8, 2), 0.6 * side, np.float32))
        for side in (-1.0, 1.0) for _ in range(20)
    ]  # fmt: skip
    asked = RecoveryHeadConfig(head=head, target="retrieved", vocabulary=64)
    policy = fit_recovery_policy(EPISODES, CONFIG, asked, retrieved=known)  # type: ignore[arg-type]
    policy.save(tmp_path)
    chunk = load_recovery_policy(tmp_path).chunk(np.full(4, 1.0), np.full(4, 1.0))
    assert chunk.mean() == pytest.approx(0.6, abs=0.15)
    with pytest.raises(DataRefused, match="target to hindsight"):
        fit_recovery_policy(EPISODES, CONFIG, asked)  # type: ignore[arg-type]


def test_memory_answers_the_robots_stuck_steps_and_never_from_the_asking_episode() -> None:
    data, labels = episodes(), fitted().labels
    values = {e.episode_id: fitted().curves[e.episode_id].value for e in data}
    built = build_memory(data, values, MemoryConfig(gain=0.01, floor_quantile=None))
    found = list(answered(built.memory, built.encoder, data, values, labels))
    stuck = sum(int((labels[e.episode_id][e.source != HUMAN] == 1).sum()) for e in data if e.split == "train")
    assert 0 < len(found) <= stuck
    assert {one.split for one in found} == {"train"}
    assert all(one.chunk.shape == (8, 2) and one.situation.shape == one.goal.shape for one in found)


def test_without_a_whole_chunk_of_a_person_and_with_an_unknown_head_it_is_refused() -> None:
    with pytest.raises(DataRefused, match="record takeovers"):
        fit_recovery_policy([step_data(4)], CONFIG, RecoveryHeadConfig(head="flow"))
    with pytest.raises(UsageError, match="regression, tokens, flow"):
        RecoveryHeadConfig(head="diffusion")
    with pytest.raises(UsageError, match="hindsight, retrieved"):
        RecoveryHeadConfig(target="best")
