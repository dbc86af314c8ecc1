"""How foreign files say that an episode ended: known names, guesses, labels without a meaning, contradictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from episodes.errors import DataRefused
from episodes.formats import import_dataset
from episodes.formats.endings import Endings, outcome
from episodes.formats.mapping import FieldMapping
from episodes.record import Outcome

SEED = Path(__file__).parent / "data/seed_json"


def said(**entries: Any) -> FieldMapping:
    return FieldMapping.model_validate(entries)


@pytest.mark.parametrize(
    ("steps", "episode", "want"),
    [
        ({"next.success": [0, 0, 1]}, {}, "success"),
        ({"next.success": [0, 0, 0]}, {}, "unknown"),
        ({"info/succeed": [False, True, True]}, {}, "success"),
        ({}, {"success": False}, "failure"),
        ({}, {"success": 1.0}, "success"),
        ({}, {"episode_success": "failure"}, "failure"),
        ({}, {"episode_success": b"success"}, "success"),
        ({}, {"success": ""}, "unknown"),
        ({}, {"success": float("nan")}, "unknown"),
        ({}, {"failed": True}, "failure"),
        ({}, {"failed": False}, "unknown"),
        ({"reward": [0, 0, 1], "done": [0, 0, 1]}, {}, "unknown"),
        ({"next.success": [0, 0, 0]}, {"episode_success": "failure"}, "failure"),
    ],
)
def test_outcomes(steps: dict[str, Any], episode: dict[str, Any], want: str) -> None:
    result, derivation = outcome(steps, episode)
    assert result.value == want
    assert bool(derivation) == (want != "unknown")


def test_outcomes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(DataRefused, match="says failure and"):
        outcome({"next.success": [0, 1]}, {"episode_success": "failure"})


def test_a_person_says_which_outcome_counts_and_what_labels_mean() -> None:
    both: dict[str, Any] = {"steps": {"success": [0, 1]}, "episode": {"verdict": "fell"}}
    values = {"fell": "failure", "fine": "success"}
    assert outcome(**both, said=said(**{"from": "verdict", "values": values}))[0] is Outcome.FAILURE
    assert outcome(**both, said=said(**{"from": "verdict", "values": {"x": "failure"}})) == (Outcome.UNKNOWN, "")
    assert outcome(**both, said=said(**{"from": "success"})) == (
        Outcome.SUCCESS,
        "field success by the import mapping",
    )


def test_a_column_that_the_mapping_names_and_the_source_has_not_is_refused() -> None:
    with pytest.raises(DataRefused, match=r"there is no 'flag', of other; mend fields.success in the mapping"):
        outcome({"other": [0]}, {}, FieldMapping.model_validate("flag"))


@pytest.mark.parametrize(
    ("steps", "episode", "label"),
    [
        ({}, {"success": "perhaps"}, "'perhaps'"),
        ({"next.success": np.array(["", "ok"])}, {}, "'ok'"),
        ({}, {"success": 0.7}, "'0.7'"),
        ({"success": [0, 0, 2]}, {}, "'2'"),
    ],
)
def test_a_label_without_a_meaning_is_unknown_and_told_with_the_line_to_write(
    steps: dict[str, Any], episode: dict[str, Any], label: str
) -> None:
    endings = Endings(None)
    assert endings.of(steps, episode) == (Outcome.UNKNOWN, "")
    (told,) = endings.warnings()
    key = next(iter({**steps, **episode}))
    assert f"outcome: {key} ends with {label} (1 of 1 episodes), which has no known meaning" in told
    line = json.dumps(label.strip("'"))
    assert told.endswith(f'fields.success = {{from = "{key}", values = {{{line} = "..."}}}}')


@pytest.mark.parametrize("silent", [{"success": [0, 0]}, {"success": [np.nan, 0]}, {"success": [True, False]}])
def test_a_flag_is_no_label(silent: dict[str, Any]) -> None:
    endings = Endings(None)
    endings.of(silent, {"episode_success": "unknown" if silent["success"][0] != 1 else None})
    assert endings.warnings() == []


def test_a_name_that_is_published_nowhere_is_a_guess_and_a_published_one_beside_it_is_not() -> None:
    for steps, guessed in (({"failed": [0, 1]}, True), ({"failed": [0, 1], "failure": [0, 1]}, False)):
        endings = Endings(None)
        assert endings.of(steps, {})[0] is Outcome.FAILURE
        told = ["outcome: it is a guess from its name that failed says how it ended"] if guessed else []
        assert [warning.partition(";")[0] for warning in endings.warnings()] == told
    endings = Endings(said(**{"from": "failed"}))
    endings.of({"failed": [0, 1]}, {})
    assert endings.warnings() == []


def test_an_import_tells_labels_that_the_mapping_does_not_list_in_any_format(tmp_path: Path) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    for verdict, file in zip(("fine", "so so"), sorted((tmp_path / "lab").rglob("episode.json")), strict=True):
        found = json.loads(file.read_text())
        file.write_text(json.dumps(found | {"steps": [step | {"verdict": verdict} for step in found["steps"]]}))
    success = {"from": "verdict", "values": {"fine": "success", "jam": "failure"}}
    report = import_dataset(tmp_path / "lab", tmp_path / "w", mapping={"fields": {"success": success}})
    assert len(report.imported) == 2
    told = [warning for warning in report.warnings if warning.startswith("outcome: verdict")]
    assert "'so so' (1 of 2 episodes), which the mapping gives no meaning, so these are unknown" in told[0]
    assert "ends no episode with 'jam'; check the spelling" in told[1]
