"""Small model directories to make releases of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from robot_fakes import fake_spec
from safetensors.numpy import save_file

from episodes.workspace import Workspace
from releases.bundle import Release, build
from releases.gates import RobotProfile

FIGURE = {"value": 0.9, "lo": 0.8, "hi": 1.0, "n": 20}
FIGURES = {
    "value": {"voc_nominal": FIGURE, "success_auroc": FIGURE},
    "trigger": {"failures_flagged": FIGURE, "successes_alarmed": {"value": 0.1, "lo": 0.0, "hi": 0.2, "n": 10}},
}
"""of held-out episodes; they meet every gate"""
CREATED = "2026-11-20T12:00:00+00:00"


def features_of(robot: RobotProfile, *, cameras: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The `Features` of models that read all this robot gives, or only some of its cameras."""
    chosen = robot.cameras if cameras is None else cameras
    return {
        "proprio_names": robot.proprio_names,
        "proprio_units": robot.proprio_units,
        "cameras": chosen,
        "image_px": robot.image_px if chosen else 0,
        "fps": robot.fps,
        "action_space": dict(robot.action_space),
    }


def make_parts(directory: Path, *, scale: float = 1.0) -> dict[str, Path]:
    """Five model directories with one file of each kind that a release may hold."""
    parts = {name: directory / name for name in ("value", "trigger", "memory", "recovery", "policy")}
    for path in parts.values():
        path.mkdir(parents=True)
        save_file({"weight": np.full(4, scale, np.float32)}, path / "model.safetensors")
        (path / "config.json").write_text(json.dumps({"kind": path.name}))
    pl.DataFrame({"item": [1, 2]}).write_parquet(parts["memory"] / "items.parquet")
    np.savez(parts["memory"] / "keys.npz", keys=np.eye(2))
    (parts["value"] / "nets").mkdir()
    save_file({"weight": np.zeros(2)}, parts["value"] / "nets" / "fold-0.safetensors")
    return parts


def make_release(root: Path, parts: dict[str, Path], **changes: Any) -> Release:
    """A release whose figures are good."""
    Workspace.open(root, create=True)
    given: dict[str, Any] = {
        "parts": parts,
        "parents": {"data_versions": {"values/model": "v1"}, "label_freeze": "demo", "value_model": "abc"},
        "evaluation": {"held_out": FIGURES, "value": {"voc": 0.97, "n": 20}, "trigger": None},
        "features": features_of(fake_spec()),
        "by": "ada",
        "created": CREATED,
    }
    return build(root, "tube_insertion", **(given | changes))
