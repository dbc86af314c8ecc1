"""A file of another model's curves finds its episodes, or says which one it does not fit and what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from synthetic import make_episode

from episodes.errors import EpisodeFormatError, UsageError
from episodes.formats import import_dataset
from episodes.other_curves import holds_curves, import_curves, read_curves
from episodes.store import EpisodeStore
from pipelines.cli import main

BRIDGE = Path(__file__).parent / "data" / "lerobot_v30_bridge"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A LeRobot dataset and a workspace with its episodes."""
    dataset, root = tmp_path_factory.mktemp("in") / "pick", tmp_path_factory.mktemp("root")
    shutil.copytree(BRIDGE, dataset)
    import_dataset(dataset, root)
    return dataset, root


def progress_file(dataset: Path, *, dense: bool = False) -> Path:
    """What LeRobot's `compute_rabc_weights` leaves: one frame in seven without an answer."""
    tables = [pl.read_parquet(path, columns=["index", "episode_index", "frame_index"])
              for path in sorted(dataset.glob("data/*/*.parquet"))]  # fmt: skip
    length = pl.len().over("episode_index")
    table = pl.concat(tables).with_columns(progress_sparse=(pl.col("frame_index") / length).cast(pl.Float32))
    table = table.with_columns(
        progress_sparse=pl.when(pl.col("index") % 7 == 3).then(np.nan).otherwise("progress_sparse")
    )
    if dense:
        table = table.with_columns(progress_dense=pl.col("progress_sparse") / 2)
    table.write_parquet(dataset / "sarm_progress.parquet")
    return dataset / "sarm_progress.parquet"


def test_each_curve_lies_by_the_episode_it_is_of(bridge: tuple[Path, Path]) -> None:
    dataset, root = bridge
    report = import_curves(progress_file(dataset, dense=True), root)
    store = EpisodeStore(root)
    assert set(report.episodes) == set(store.ids())
    assert (report.names, report.elsewhere, report.refused) == (("sarm_progress", "sarm_progress_dense"), 0, ())
    one = report.episodes[4]
    rows = read_curves(root / "curves/pick/sarm_progress.parquet").filter(pl.col("episode_id") == one)
    half = read_curves(root / "curves/pick/sarm_progress_dense.parquet").filter(pl.col("episode_id") == one)
    number = int(store.attributes(one)["source_uri"].rpartition("#")[2])
    theirs = pl.read_parquet(dataset / "sarm_progress.parquet").filter(pl.col("episode_index") == number)
    np.testing.assert_array_equal(rows["value"], theirs["progress_sparse"].cast(pl.Float64))
    np.testing.assert_array_equal(half["value"], theirs["progress_dense"].cast(pl.Float64))


def test_what_does_not_fit_is_refused_by_episode_and_the_rest_comes_in(bridge: tuple[Path, Path]) -> None:
    dataset, root = bridge
    path = progress_file(dataset)
    whole = pl.read_parquet(path)
    torn = whole.filter((pl.col("episode_index") != 2) | (pl.col("frame_index") > 0))
    strange = whole.filter(pl.col("episode_index") == 3).with_columns(episode_index=pl.lit(99, pl.Int64))
    short = pl.concat([torn, strange])
    short.write_parquet(path)
    report = import_curves(path, root)
    (refused,) = report.refused
    assert (refused.episode, refused.key, report.elsewhere) == ("2", "frame_index", 1)
    assert len(report.episodes) == whole["episode_index"].n_unique() - 1
    with pytest.raises(EpisodeFormatError, match="has steps 0 to"):
        import_curves(path, root, strict=True)


def test_without_its_episodes_and_of_the_wrong_kind_it_is_refused(bridge: tuple[Path, Path], tmp_path: Path) -> None:
    path = progress_file(bridge[0])
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    with pytest.raises(EpisodeFormatError, match="import the dataset first"):
        import_curves(path, tmp_path)
    with pytest.raises(UsageError, match="there is no session 'x'"):
        import_curves(path, tmp_path, session="x")
    moved = tmp_path / "elsewhere.parquet"
    pl.read_parquet(path).with_columns(progress_sparse=pl.lit("half")).write_parquet(moved)
    with pytest.raises(EpisodeFormatError, match="no numbers"):
        import_curves(moved, bridge[1], session="pick")
    assert not holds_curves(next(bridge[0].glob("data/*/*.parquet")))


def test_the_command_takes_a_file_from_anywhere_once_the_session_is_said(
    bridge: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copy(progress_file(bridge[0]), tmp_path / "robometer_progress.parquet")
    command = ["import", str(moved), "--root", str(bridge[1])]
    assert main(command) == 3
    assert main([*command, "--session", "pick", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["names"], told["refused"]) == (["robometer_progress"], [])
    assert main([*command, "--task", "lift"]) == 2
