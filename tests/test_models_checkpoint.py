"""Weights on disk: they come back equal, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_samples import flip
from torch import nn

from episodes.errors import IntegrityError
from models import checkpoint


def saved(directory: Path, **config: object) -> str:
    tensors = checkpoint.prefixed(nn.Linear(2, 3), "a.") | checkpoint.prefixed(nn.Linear(3, 1), "b.")
    return checkpoint.save(directory, tensors, {"kind": "sample", **config})


def test_tensors_and_config_come_back(tmp_path: Path) -> None:
    net = nn.Linear(2, 3)
    made = checkpoint.save(tmp_path, checkpoint.prefixed(net, "net."), {"kind": "sample", "names": ("a",), "x": 0.1})
    tensors, config = checkpoint.load(tmp_path, "sample")
    other = nn.Linear(2, 3)
    checkpoint.load_state({"net.": other}, tensors)
    assert torch.equal(net.weight, other.weight)
    assert (config["names"], config["x"]) == (["a"], 0.1)
    assert made == checkpoint.model_hash(tmp_path)
    assert len(made) == 16


def test_the_hash_is_that_of_weights_and_config(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one = saved(tmp_path / "one")
    torch.manual_seed(0)
    assert saved(tmp_path / "same") == one
    torch.manual_seed(0)
    assert saved(tmp_path / "config", more=1) != one
    torch.manual_seed(1)
    assert saved(tmp_path / "weights") != one


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(place=st.integers(0, 100_000), name=st.sampled_from([checkpoint.WEIGHTS, checkpoint.CONFIG]))
def test_any_flipped_bit_is_refused(tmp_path: Path, place: int, name: str) -> None:
    saved(tmp_path)
    flip(tmp_path / name, place)
    with pytest.raises(IntegrityError):
        checkpoint.load(tmp_path, "sample")


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.CONFIG])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(IntegrityError, match=tmp_path.name):
        checkpoint.load(tmp_path, "sample")
    with pytest.raises(IntegrityError, match=name):
        checkpoint.model_hash(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(IntegrityError, match="holds a sample model, not policy"):
        checkpoint.load(tmp_path, "policy")


def test_missing_extra_and_misshapen_tensors_are_refused() -> None:
    net = nn.Linear(2, 3)
    state = checkpoint.prefixed(net, "a.")
    with pytest.raises(IntegrityError, match="Missing key"):
        checkpoint.load_state({"a.": net}, {"a.weight": state["a.weight"]})
    with pytest.raises(IntegrityError, match="Unexpected key"):
        checkpoint.load_state({"a.": net}, {**state, "a.more": torch.zeros(1)})
    with pytest.raises(IntegrityError, match=r"holds 'b\.weight'"):
        checkpoint.load_state({"a.": net}, {**state, "b.weight": torch.zeros(1)})
    with pytest.raises(IntegrityError, match="size mismatch"):
        checkpoint.load_state({"a.": net}, {**state, "a.bias": torch.zeros(9)})


def test_a_network_without_its_mean_is_refused(tmp_path: Path) -> None:
    mean = torch.zeros(3)
    assert checkpoint.inputs(tmp_path, {"net.standardise.mean": mean}, "net.") == 3
    with pytest.raises(IntegrityError, match=rf"{tmp_path.name} holds no other.standardise.mean; train again"):
        checkpoint.inputs(tmp_path, {"net.standardise.mean": mean}, "other.")
