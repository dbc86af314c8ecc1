"""The value model: who judges whom, what curves are made of, and what comes back from disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_samples import CONFIG, NAMES, episodes, fitted, flip, step_data

from episodes.errors import DataRefused, IntegrityError, UsageError
from models import checkpoint
from models.dataset import TRAINED_SPLITS
from models.history import causal_median
from models.stall import discounted, stall_probability
from models.value import ValueConfig, ValueModel, infer, select, value_columns


def test_an_episode_is_judged_by_the_one_net_without_it_and_others_by_all() -> None:
    model = fitted().value
    for episode in episodes():
        learned = episode.split in TRAINED_SPLITS and episode.success is not None
        assert (episode.group_id in model.fold_of) == learned
        assert model.judges(episode) == ((model.fold_of[episode.group_id],) if learned else (0, 1, 2, 3))
        assert fitted().curves[episode.episode_id].nets == model.judges(episode)


def test_a_copy_of_a_training_episode_is_judged_like_it() -> None:
    model, episode = fitted().value, episodes()[5]
    assert model.judges(replace(episode, episode_id="f" * 16, split="test")) == model.judges(episode)


@pytest.mark.parametrize("which", [5, 20, 29])
def test_curves_are_the_nets_medians_their_mean_and_w(which: int) -> None:
    model, episode = fitted().value, episodes()[which]
    curves = model.curves(episode)
    v = [
        causal_median(v, episode.runs)
        for v, _ in infer([model.nets[k] for k in curves.nets], CONFIG, model.proprio_names, episode)
    ]
    np.testing.assert_allclose(curves.net_values, v)
    np.testing.assert_allclose(curves.value, np.mean(v, axis=0))
    stall = [
        stall_probability(model.heads[k], model.history(episode, v), episode.runs)
        for k, v in zip(curves.nets, v, strict=True)
    ]
    np.testing.assert_allclose(curves.stall_probability, np.mean(stall, axis=0))
    np.testing.assert_allclose(
        curves.success_score, discounted(curves.value, curves.stall_probability, model.dead_band)
    )
    assert (curves.value_lo <= curves.value).all()
    assert (curves.value <= curves.value_hi).all()
    assert curves.value_lo.min() >= 0
    assert curves.value_hi.max() <= 1
    assert curves.latents.shape == (len(curves.nets), len(episode), model.nets[0].latent_size)


def test_long_episodes_are_judged_in_batches_without_a_seam() -> None:
    model, episode = fitted().value, episodes()[5]
    ((whole, _),) = infer(model.nets[:1], CONFIG, model.proprio_names, episode)
    ((parts, _),) = infer(model.nets[:1], CONFIG, model.proprio_names, episode, batch=7)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_what_the_simulator_tracks_is_not_read() -> None:
    assert value_columns(NAMES) == ("tool/x", "depth", "speed") == fitted().value.proprio_names
    episode = episodes()[5]
    proprio = episode.proprio.copy()
    proprio[:, NAMES.index("priv/dx")] = 1e3
    changed = fitted().value.curves(replace(episode, proprio=proprio))
    np.testing.assert_array_equal(changed.value, fitted().curves[episode.episode_id].value)


def test_columns_are_found_by_name_in_any_order() -> None:
    episode = episodes()[5]
    turned = replace(episode, proprio=episode.proprio[:, ::-1], proprio_names=NAMES[::-1])
    np.testing.assert_array_equal(select(turned, ("depth", "tool/x")), episode.proprio[:, [1, 0]])
    with pytest.raises(DataRefused, match="no proprio value 'jaw'"):
        select(episode, ("jaw",))


def test_a_saved_model_gives_equal_curves(tmp_path: Path) -> None:
    model_hash = fitted().value.save(tmp_path)
    loaded = ValueModel.load(tmp_path)
    assert checkpoint.model_hash(tmp_path) == model_hash
    assert loaded.save(tmp_path / "again") == model_hash
    for which in (0, 20, 29):
        a, b = loaded.curves(episodes()[which]), fitted().curves[episodes()[which].episode_id]
        np.testing.assert_array_equal(a.success_score, b.success_score)
        np.testing.assert_array_equal(a.value_hi, b.value_hi)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(place=st.integers(0, 10**6), name=st.sampled_from([checkpoint.WEIGHTS, checkpoint.CONFIG]))
def test_a_flipped_bit_is_refused(tmp_path: Path, place: int, name: str) -> None:
    fitted().value.save(tmp_path)
    flip(tmp_path / name, place)
    with pytest.raises(IntegrityError):
        ValueModel.load(tmp_path)


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_or_extra_tensor_is_refused(tmp_path: Path, missing: bool) -> None:
    fitted().value.save(tmp_path)
    tensors, config = checkpoint.load(tmp_path, "proxy_value")
    if missing:
        del tensors["net3.standardise.mean"]
    else:
        tensors["net4.standardise.mean"] = tensors["net3.standardise.mean"].clone()
    checkpoint.save(tmp_path, tensors, config)
    with pytest.raises(IntegrityError, match="standardise"):
        ValueModel.load(tmp_path)


def test_a_config_of_another_version_is_named_as_such(tmp_path: Path) -> None:
    fitted().value.save(tmp_path)
    tensors, config = checkpoint.load(tmp_path, "proxy_value")
    config["config"]["clock"] = True
    checkpoint.save(tmp_path, tensors, config)
    with pytest.raises(IntegrityError, match=r"another version of Regrasp .*clock"):
        ValueModel.load(tmp_path)


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"steps": 0}])
def test_settings_that_cannot_train_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="cannot have"):
        ValueConfig(**wrong)  # type: ignore[arg-type]


def test_an_episode_of_one_step_has_curves() -> None:
    one = step_data(3)
    short = replace(one, **{n: getattr(one, n)[:1] for n in ("time_s", "source", "proprio", "ee_pose", "wrench")})
    assert fitted().value.curves(short).value.shape == (1,)
