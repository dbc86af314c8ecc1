"""Other models' curves beside V, for the episode they are of and where both have judged; how our own models learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from episodes.record import Array
from labeling_app.others import beside, others_of
from labeling_app.trained import learning_figure, learning_of

STEPS = 20
RAMP = np.linspace(0, 1, STEPS)


def write(root: Path, name: str, curves: dict[str, Array]) -> None:
    frames = [
        pl.DataFrame({"episode_id": episode_id, "frame_index": range(len(curve)), "value": curve})
        for episode_id, curve in curves.items()
    ]
    (root / "curves/pick").mkdir(parents=True, exist_ok=True)
    pl.concat(frames).write_parquet(root / f"curves/pick/{name}.parquet")


def test_an_episode_has_the_curves_that_know_it_and_a_bad_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "before", {"a": RAMP, "b": RAMP})
    write(tmp_path, "short", {"a": RAMP[:3]})
    write(tmp_path, "strange", {"c": RAMP})
    pl.DataFrame({"episode_id": ["a"]}).write_parquet(tmp_path / "curves/none.parquet")
    found, left_out = others_of(tmp_path, "a", STEPS)
    assert {name: curve.tolist() for name, curve in found.items()} == {"before": RAMP.tolist()}
    assert ["holds no curves" in each or "3 steps of episode" in each for each in left_out] == [True, True]
    assert others_of(tmp_path, "d", STEPS)[0] == {}


def test_models_are_compared_on_the_episodes_that_both_have_judged(tmp_path: Path) -> None:
    holed = np.where(np.arange(STEPS) % 4 == 1, np.nan, RAMP)
    write(tmp_path, "sarm", {"good": holed, "bad": 1 - RAMP, "nan": np.full(STEPS, np.nan), "of no outcome": RAMP})
    ours = {"good": 1 - RAMP, "bad": RAMP, "nan": RAMP, "of no outcome": RAMP, "ours alone": RAMP}
    frames = [pl.DataFrame({"episode_id": k, "frame_index": range(STEPS), "value": v}) for k, v in ours.items()]
    outcomes = {"good": "success", "bad": "failure", "nan": "success", "ours alone": "success", "of no outcome": ""}
    (one,) = beside(tmp_path, pl.concat(frames), outcomes)
    assert (one.name, one.episodes, one.successes) == ("sarm", 2, 1)
    assert one.order == pytest.approx((1.0, -1.0))
    assert one.separation == (1.0, 0.0)
    assert beside(tmp_path, pl.concat(frames), {"good": ""}) == []


def test_each_model_is_a_colour_and_each_net_a_line_with_its_validation(tmp_path: Path) -> None:
    points = {"net": ["a", "a", "b"], "step": [5, 10, 5], "loss": [2.0, 1.0, 3.0], "validation": [2.5, 1.5, np.nan]}
    place = tmp_path / "values/model/pick/learning.parquet"
    place.parent.mkdir(parents=True)
    pl.DataFrame(points).write_parquet(place)
    tables = learning_of(tmp_path, "pick")
    assert list(tables) == ["value"]
    lines = learning_figure(tables).data
    assert [list(line.y) for line in lines] == [[2.0, 1.0], [2.5, 1.5], [3.0]]
    assert [line.showlegend for line in lines] == [True, False, False]
