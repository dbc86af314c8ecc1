"""What foreign flags, units and rotations mean: known names, guesses, contradictions, and what a person says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused
from episodes.formats.fields import arrays_of, quaternions, stamps_of
from episodes.formats.mapping import FieldMapping
from episodes.formats.meaning import GUESSED, KNOWN, actors

POLICY, HUMAN, HOLD, UNKNOWN = 0, 2, 3, 255
FLAGS = np.array([False, True, True])


def said(**entries: Any) -> FieldMapping:
    return FieldMapping.model_validate(entries)


@pytest.mark.parametrize("key", ["human_intervene", "intervention", "is_intervention", "info/is_intervention"])
@pytest.mark.parametrize("values", [FLAGS, FLAGS.astype(np.float32)[:, None], FLAGS.astype(np.int64)])
def test_the_published_spellings_are_known(key: str, values: Any) -> None:
    found = actors({f"complementary_info.{key}": values, "reward": FLAGS}, 3)
    assert (found.source.tolist(), found.warning) == ([POLICY, HUMAN, HUMAN], "")


def test_a_human_action_that_is_only_there_when_a_person_acts() -> None:
    given = np.array([[np.nan] * 2, [0.0, 0.0], [1.0, np.nan]])
    assert actors({"intervene_action": given}, 3).source.tolist() == [POLICY, HUMAN, HUMAN]


@pytest.mark.parametrize(("key", "coding"), [item for item in GUESSED.items() if item[1] != "mode"])
def test_a_name_that_only_looks_like_it_is_a_guess_and_says_so(key: str, coding: str) -> None:
    found = actors({key: FLAGS}, 3)
    assert found.source.tolist() == ([POLICY, HUMAN, HUMAN] if coding == "human" else [HUMAN, POLICY, POLICY])
    assert "guess" in found.warning
    assert key in found.warning


def test_names_of_actors() -> None:
    modes = ["policy", "TELEOP", "hold", ""]
    assert actors({"control_mode": np.array(modes)}, 4).source.tolist() == [POLICY, HUMAN, HOLD, UNKNOWN]
    assert actors({"intervention": np.array([b"True", b"false"])}, 2).source.tolist() == [HUMAN, POLICY]
    with pytest.raises(DataRefused, match="'pirate'"):
        actors({"control_mode": np.array(["policy", "pirate"])}, 2)


def test_a_name_of_an_actor_that_is_not_ours_is_a_guess_and_says_so() -> None:
    modes = {"control_mode": np.array(["policy", "idle", "Teleop"])}
    found = actors(modes, 3)
    assert found.source.tolist() == [POLICY, HOLD, HUMAN]
    assert "guess, 'idle' as hold, 'teleop' as human" in found.warning
    assert actors(modes, 3, said(**{"from": "control_mode"})).warning == found.warning
    both = actors({"controller": np.array(["robot", "human"])}, 2).warning
    assert "controller says who acted (it names the actor; 'robot' as policy)" in both


def test_a_flag_written_as_text_has_the_polarity_of_the_same_flag() -> None:
    written = np.array(["true", b"False", ""], object)
    assert actors({"autonomous": written}, 3).source.tolist() == [POLICY, HUMAN, UNKNOWN]
    asked = said(**{"from": "flag", "true": "policy"})
    assert actors({"flag": written}, 3, asked).source.tolist() == [POLICY, HUMAN, UNKNOWN]


def test_nan_and_no_column_are_unknown() -> None:
    assert actors({"is_intervention": np.array([np.nan, 1, 0])}, 3).source.tolist() == [UNKNOWN, HUMAN, POLICY]
    assert actors({"reward": FLAGS}, 3).source.tolist() == [UNKNOWN] * 3


@pytest.mark.parametrize("values", [[0, 1, 2], [0.5, 0, 1], [-1, 0, 1]])
def test_a_flag_with_other_values_is_refused(values: list[float]) -> None:
    with pytest.raises(DataRefused, match="other values than true and false"):
        actors({"intervention": np.array(values)}, 3)


def test_what_a_person_did_is_no_text() -> None:
    with pytest.raises(DataRefused, match="intervene_action should hold what the person did"):
        actors({"intervene_action": np.array(["left", "", "right"])}, 3)


def test_columns_that_contradict_each_other_are_refused_and_those_that_agree_are_not() -> None:
    modes = np.array(["policy", "human", "recovery"])
    with pytest.raises(DataRefused, match="do not agree on who acted at step 2"):
        actors({"control_mode": modes, "is_intervention": FLAGS}, 3)
    agreed = actors({"control_mode": modes, "is_intervention": np.array([0, 1, 0])}, 3)
    assert (agreed.column, agreed.source.tolist()) == ("control_mode", [0, 2, 1])


def test_a_known_name_wins_over_a_guess_and_the_person_over_both() -> None:
    columns = {"is_intervention": FLAGS, "expert": ~FLAGS}
    assert actors(columns, 3).column == "is_intervention"
    assert actors(columns, 3, said(**{"from": "expert"})).source.tolist() == [HUMAN, POLICY, POLICY]
    assert actors(columns, 3, said(**{"from": "expert", "true": "policy"})).source.tolist() == [POLICY, HUMAN, HUMAN]


@given(st.sampled_from(sorted({**KNOWN, **GUESSED}.items())), st.lists(st.booleans(), min_size=1, max_size=9))
def test_every_spelling_gives_policy_and_human(named: tuple[str, str], flags: list[bool]) -> None:
    key, coding = named
    values = np.array(["human" if flag else "policy" for flag in flags]) if coding == "mode" else np.array(flags)
    assert set(actors({key: values}, len(flags)).source) <= {POLICY, HUMAN}


def column(name: str) -> Any:
    return {"x/10.0": np.array([1.0, 2.0]), "six": np.ones((2, 6)), "p": np.full((2, 6), 90.0), "n": np.arange(2)}[name]


def test_a_wrench_needs_its_units_and_gets_newtons() -> None:
    guesses: list[str] = []
    with pytest.raises(DataRefused, match="wrench needs its units"):
        arrays_of({"wrench": said(**{"from": "six"})}, column, guesses)
    fields = {"wrench": said(**{"from": "six", "unit": ["kN", "Ncm"], "scale": 2, "frame": "tool"})}
    found = arrays_of(fields, column, guesses)
    assert found["wrench"].tolist() == [[2000.0] * 3 + [0.02] * 3] * 2
    assert (found["wrench_attrs"], guesses) == ({"frame": "tool"}, [])


@pytest.mark.parametrize("unit", [["N"], ["N", "m"], ["N"] * 6, ["N", "Nm", "Nm"]])
def test_units_that_cannot_be_are_refused(unit: list[str]) -> None:
    with pytest.raises(DataRefused, match=r"fields\.wrench"):
        arrays_of({"wrench": said(**{"from": "six", "unit": unit})}, column, [])


def test_a_scale_in_a_name_is_a_guess_and_a_stated_one_is_not() -> None:
    guesses: list[str] = []
    assert arrays_of({"proprio": said(**{"from": "x/10.0"})}, column, guesses)["proprio"].tolist() == [[10], [20]]
    assert "guess" in guesses[0]
    assert arrays_of({"proprio": said(**{"from": "x/10.0", "scale": 1})}, column, guesses[1:])["proprio"][0, 0] == 1
    assert len(guesses) == 1


def test_a_pose_needs_its_rotation_said() -> None:
    with pytest.raises(DataRefused, match="how its rotation is written"):
        arrays_of({"ee_pose": said(**{"from": "p", "unit": "m"})}, column, [])
    fields = {"ee_pose": said(**{"from": "p", "unit": ["mm", "deg"], "rotation": "roll_pitch_yaw"})}
    pose = arrays_of(fields, column, [])["ee_pose"][0]
    np.testing.assert_allclose(pose, [0.09, 0.09, 0.09, 0, np.sqrt(0.5), 0, np.sqrt(0.5)], atol=1e-12)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_rotations_agree_with_matrices(angles: list[float]) -> None:
    from scipy.spatial.transform import Rotation

    for coding, made in (
        ("roll_pitch_yaw", Rotation.from_euler("xyz", angles)),
        ("rotation_vector", Rotation.from_rotvec(angles)),
    ):
        found = Rotation.from_quat(quaternions(np.array([angles]), coding)[0])  # type: ignore[arg-type]
        assert (found * made.inv()).magnitude() < 1e-9


def test_whole_nanoseconds_of_an_epoch_are_exact() -> None:
    stamps = np.array([1_526_716_017_390_000_001, 1_526_716_017_490_000_003])
    assert stamps_of(said(**{"from": "t", "unit": "ns"}), lambda _: stamps)[1] == pytest.approx(0.100000002, abs=1e-12)


def test_a_column_that_the_mapping_names_and_the_source_has_not_is_refused() -> None:
    with pytest.raises(DataRefused, match=r"there is no 'flag', of other; mend fields.intervention in the mapping"):
        actors({"other": [0]}, 1, FieldMapping.model_validate("flag"))
