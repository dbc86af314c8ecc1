"""Gates: a release runs only where its held-out figures and every name, unit and rate are what they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from release_parts import features_of, make_parts, make_release
from robot_fakes import NAMES, PROPRIO, fake_spec

from episodes.errors import GateNotMet, IntegrityError
from releases.bundle import Release
from releases.gates import check, judge, judge_figures, require


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


GOOD: dict[str, Any] = {
    "value": {"voc_nominal": {"value": 0.97, "lo": 0.9, "hi": 1.0, "n": 20}, "success_auroc": {"value": 0.8, "n": 9}},
    "trigger": {"failures_flagged": {"value": 0.8, "n": 5}, "successes_alarmed": {"value": 0.25, "n": 8}},
}


def changed(
    part: str, figure: str, value: float | None, lo: float | None = None, hi: float | None = None
) -> dict[str, Any]:
    return {**GOOD, part: {**GOOD[part], figure: {"value": value, "lo": lo, "hi": hi, "n": 7}}}


@pytest.mark.parametrize(
    ("held_out", "unmet"),
    [
        (GOOD, []),
        (changed("value", "voc_nominal", 0.0), ["VOC of V, nominal successes"]),
        (changed("value", "success_auroc", 0.79), ["AUROC of W"]),
        (changed("trigger", "failures_flagged", 0.79), ["failures flagged"]),
        (changed("trigger", "successes_alarmed", 0.26), ["successes alarmed"]),
        (changed("trigger", "successes_alarmed", None), ["successes alarmed"]),
        (changed("trigger", "successes_alarmed", None, 0.0, 1.0), ["successes alarmed"]),
        (changed("trigger", "successes_alarmed", 0.4, 0.25, 0.6), []),
        (changed("trigger", "successes_alarmed", 0.4, 0.26, 0.6), ["successes alarmed"]),
        (changed("value", "success_auroc", 0.7, 0.5, 0.8), []),
        (changed("value", "success_auroc", 0.7, 0.5, 0.79), ["AUROC of W"]),
        (changed("value", "voc_nominal", 0.0, 0.0, 0.0), ["VOC of V, nominal successes"]),
        ({"value": GOOD["value"]}, ["failures flagged", "successes alarmed"]),
    ],
)
def test_a_release_is_held_to_its_held_out_figures(tmp_path: Path, held_out: dict[str, Any], unmet: list[str]) -> None:
    parts = make_parts(tmp_path / "models")
    release = make_release(tmp_path / "root", parts, evaluation={"held_out": held_out, "out_of_fold": GOOD})
    results = judge(release, fake_spec())
    assert [result.name for result in results if not result.met] == unmet
    assert {result.name for result in check(release, fake_spec())} < {result.name for result in results}
    assert judge_figures(release) == results[:5]
    if not unmet:
        require(results)
        assert results[1].found == "0.97 [0.9, 1] n 20"
        assert results[1].bound == "at least 0.82"


def test_a_release_without_figures_or_robot_meets_no_gate_of_them(tmp_path: Path) -> None:
    release = make_release(tmp_path / "root", make_parts(tmp_path / "models"), evaluation={})
    unmet = [result for result in judge(release, None) if not result.met]
    assert len(unmet) == 5
    assert {result.found for result in unmet} == {"undefined", "nothing describes this profile"}
    with pytest.raises(GateNotMet, match="nothing describes this profile"):
        require(unmet)


def test_a_changed_byte_ends_the_gates(release: Release) -> None:
    config = release.directory / "value" / "config.json"
    config.write_text(config.read_text().replace("value", "evalu"))
    with pytest.raises(IntegrityError):
        check(release, fake_spec())
