"""What differs between two releases is all of what differs, by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from release_parts import FIGURES, make_parts, make_release
from safetensors.numpy import save_file

from releases.difference import ABSENT, difference


def test_a_release_does_not_differ_from_itself(tmp_path: Path) -> None:
    release = make_release(tmp_path / "root", make_parts(tmp_path / "models"))
    assert difference(release, release) == []


def test_models_configs_parents_and_figures_are_told_apart(tmp_path: Path) -> None:
    first = make_release(tmp_path / "root", make_parts(tmp_path / "models"))
    parts = make_parts(tmp_path / "other")
    save_file({"weight": np.ones(2)}, parts["recovery"] / "model.safetensors")
    saved = {"content": {"config": {"steps": 3, "heads": {"n": 2}}, "weights": "x"}, "sha256": "y"}
    (parts["recovery"] / "config.json").write_text(json.dumps(saved))
    second = make_release(
        tmp_path / "root",
        parts,
        parents={"data_versions": {"values/model": "v2"}, "label_freeze": "demo", "value_model": "abc"},
        evaluation={"held_out": FIGURES, "value": {"voc": 0.9, "n": 20}, "trigger": None},
    )
    found = {each.name: (each.first, each.second) for each in difference(first, second)}
    assert set(found) == {
        "part.recovery",
        "config.recovery/config.json.steps",
        "config.recovery/config.json.heads.n",
        "parents.data_versions.values/model",
        "evaluation.value.voc",
    }
    assert found["config.recovery/config.json.steps"] == (ABSENT, 3)
    assert found["parents.data_versions.values/model"] == ("v1", "v2")
    assert found["evaluation.value.voc"] == (0.97, 0.9)
    assert {each.name: (each.second, each.first) for each in difference(second, first)} == found
