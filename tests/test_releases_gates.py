"""Gates: a release runs only where every name, unit and rate is what its models were made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from release_parts import make_parts, make_release
from robot_fakes import NAMES, PROPRIO, fake_spec

from episodes.errors import GateNotMet, IntegrityError
from releases.bundle import Release
from releases.gates import check, features_of, require


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return make_release(tmp_path / "root", make_parts(tmp_path / "models"))


def test_the_robot_it_was_made_with_fits(release: Release) -> None:
    results = check(release, fake_spec())
    require(results)
    assert results[0].name == "integrity"
    assert all(result.met for result in results)


def test_more_cameras_than_needed_fit_and_a_rate_is_a_number(tmp_path: Path) -> None:
    features = features_of(fake_spec(), cameras=())
    assert features["image_px"] == 0
    release = make_release(tmp_path / "root", make_parts(tmp_path / "models"), features=features)
    require(check(release, fake_spec(cameras=("third", "wrist"), image_px=128, fps=10)))


SPACE = dict(fake_spec().action_space)


@pytest.mark.parametrize(
    ("changes", "unmet"),
    [
        ({"task": "pick_eggplant"}, ["task"]),
        ({"proprio_names": PROPRIO[::-1]}, ["proprio names"]),
        ({"proprio_units": ("mm", "m", "m")}, ["proprio units"]),
        ({"proprio_names": (*PROPRIO, "more"), "proprio_units": ("m",) * 4}, ["proprio names", "proprio units"]),
        ({"cameras": ("wrist",)}, ["cameras"]),
        ({"image_px": 128}, ["image size"]),
        ({"fps": 20.0}, ["fps"]),
        ({"action_space": {**SPACE, "frame": "tool"}}, ["action frame"]),
        ({"action_space": {**SPACE, "names": list(NAMES[::-1])}}, ["action names"]),
        ({"action_space": {**SPACE, "limits": [-2, 2]}}, ["action limits"]),
        ({"action_space": {**SPACE, "locked": [6]}}, ["action locked"]),
        ({"action_space": {**SPACE, "limits": [-1, 1]}}, []),
    ],
)
def test_every_difference_is_named(release: Release, changes: dict[str, Any], unmet: list[str]) -> None:
    results = check(release, fake_spec(**changes))
    assert [result.name for result in results if not result.met] == unmet
    if unmet:
        with pytest.raises(GateNotMet, match=unmet[0]):
            require(results)


def test_a_changed_byte_ends_the_gates(release: Release) -> None:
    config = release.directory / "value" / "config.json"
    config.write_text(config.read_text().replace("value", "evalu"))
    with pytest.raises(IntegrityError):
        check(release, fake_spec())
