"""The monitor on the robot is the batch curves, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CONFIG, HOLD, HUMAN, NAMES, POLICY, RECOVERY, episodes, fitted, frames, step_data

from episodes.errors import DataRefused
from episodes.record import Array
from models.dataset import StepData
from models.monitoring import MonitorStep, MonitorStream
from models.trigger_forms import gated
from models.value_training import fit_value


def streamed(stream: MonitorStream, episode: StepData, images: Array | None = None) -> list[MonitorStep]:
    """What the stream says of an episode, reset where the loop resets it."""
    stream.reset()
    steps = []
    for t in range(len(episode)):
        if t and episode.source[t] != episode.source[t - 1]:
            stream.reset()
        force_n = float(np.linalg.norm(np.asarray(episode.wrench[t, :3], float)))
        seen = None if images is None else images[t]
        steps.append(
            stream.update(episode.proprio[t], seen, episode.ee_pose[t, :3], force_n, episode.executed_action[t])
        )
    return steps


@settings(max_examples=15)
@given(st.integers(100, 10_000), st.lists(st.sampled_from([POLICY, RECOVERY, HUMAN, HOLD]), min_size=6, max_size=6))
def test_the_stream_is_the_batch(seed: int, actors: list[int]) -> None:
    f, plain = fitted(), step_data(seed, success=bool(seed % 2))
    episode = replace(plain, source=np.repeat(np.array(actors, np.uint8), 6)[: len(plain)])
    values = f.value.curves(episode)
    curves = f.intervention.curves(f.value, episode, values)
    steps = streamed(MonitorStream(f.value, f.intervention, f.trigger, NAMES), episode)
    scores = f.trigger.scores(episode, values, curves)
    np.testing.assert_allclose([s.value for s in steps], values.value, atol=1e-6)
    np.testing.assert_allclose([s.trigger_probability for s in steps], curves.net_probabilities.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose([s.score for s in steps], scores, rtol=1e-4, atol=1e-5)
    clear = np.abs(scores - f.trigger.early_threshold) > 1e-4
    np.testing.assert_array_equal(
        np.array([s.trigger for s in steps])[clear], (scores > f.trigger.early_threshold)[clear]
    )


@pytest.mark.parametrize("form", ["cusum", "head", "either", "tvr"])
def test_every_form_is_the_batch_with_its_gate(form: str) -> None:
    f, episode = fitted(), step_data(123, success=False)
    values = f.value.curves(episode)
    curves = f.intervention.curves(f.value, episode, values)
    trigger = replace(f.trigger, config=replace(f.trigger.config, form=form, stay=0.8, cooldown_s=0.4))
    scores = np.asarray(trigger.scores(episode, values, curves))
    trigger = replace(trigger, early_threshold=float(np.median(scores)) + 1e-3)
    steps = streamed(MonitorStream(f.value, f.intervention, trigger, NAMES), episode)
    np.testing.assert_allclose([s.score for s in steps], scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal([s.trigger for s in steps], gated(scores, episode.runs, trigger.gate(10.0)))


def test_it_is_the_batch_with_pictures_too() -> None:
    data = [replace(e, frames={"third": frames(len(e), seed=i)}) for i, e in enumerate(episodes()[:18])]
    config = replace(CONFIG, cameras=("third",), image_px=16, steps=2, batch=4)
    model, f = fit_value(data, config), fitted()
    episode = replace(data[5], group_id="new", episode_id="new")
    nets = [type(net)(64 + 3, 2).eval() for net in f.intervention.nets]
    intervention = replace(f.intervention, nets=nets, latent_size=64 + 3)
    values = model.curves(episode)
    stream = MonitorStream(model, intervention, f.trigger, NAMES)
    steps = streamed(stream, episode, episode.images(range(len(episode)), ("third",), 16))
    np.testing.assert_allclose([s.value for s in steps], values.value, atol=1e-5)


def test_columns_are_read_by_name() -> None:
    f, episode = fitted(), episodes()[29]
    turned = replace(episode, proprio=episode.proprio[:, ::-1])
    a = streamed(MonitorStream(f.value, f.intervention, f.trigger, NAMES), episode)
    b = streamed(MonitorStream(f.value, f.intervention, f.trigger, NAMES[::-1]), turned)
    assert a == b


def test_a_robot_without_what_it_reads_is_refused() -> None:
    f = fitted()
    with pytest.raises(DataRefused, match="no proprio value 'depth'"):
        MonitorStream(f.value, f.intervention, f.trigger, ("tool/x", "speed"))
