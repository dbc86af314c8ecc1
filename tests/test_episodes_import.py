"""Import as a whole: formats found, duplicates and refusals counted, what a person says laid over what files say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from episode_samples import sample_episode

from episodes.errors import DataRefused, EpisodeFormatError, UsageError
from episodes.formats import ImportReport, import_dataset
from episodes.formats.exporting import Leaving, export_dataset
from episodes.images import encode_jpeg
from episodes.record import ActionSource, EncodedFrames, Episode, Outcome
from episodes.split import assign, read_split
from episodes.store import EpisodeStore
from pipelines.cli import main

DATA = Path(__file__).parent / "data"
SEED = DATA / "seed_json"


def kinds(report: ImportReport) -> list[str]:
    return [warning.split(" (")[0].split(":")[0] for warning in report.warnings]


def test_a_second_import_adds_nothing(tmp_path: Path) -> None:
    first = import_dataset(SEED, tmp_path)
    again = import_dataset(str(SEED), str(tmp_path))
    assert (len(first.imported), first.duplicates, first.quarantined) == (2, (), ())
    assert (again.imported, again.duplicates) == ((), first.imported)
    store = EpisodeStore(tmp_path)
    assert store.ids() == sorted(first.imported)
    assert store.sessions() == ["seed_json-ram_insertion"]


def test_another_outcome_of_an_episode_that_is_there_is_named_and_changes_nothing(tmp_path: Path) -> None:
    first = import_dataset(SEED, tmp_path)
    assert "other_outcome" not in kinds(import_dataset(SEED, tmp_path))
    again = import_dataset(SEED, tmp_path, mapping={"success": "failure"})
    (said,) = [warning for warning in again.warnings if warning.startswith("other_outcome (1 of 2 episodes)")]
    assert f"{first.imported[0]} is there as success and is failure here (first in episode episode_000000" in said
    assert again.duplicates == first.imported
    assert EpisodeStore(tmp_path).read(first.imported[0]).success is Outcome.SUCCESS


def test_task_and_session_can_be_named(tmp_path: Path) -> None:
    import_dataset(SEED, tmp_path, task="ram", session="friday")
    store = EpisodeStore(tmp_path)
    assert (store.sessions(), store.tasks()) == (["friday"], ["ram"])


def test_one_import_makes_one_session_per_task(tmp_path: Path) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    second = tmp_path / "lab" / "episode_000001" / "episode.json"
    second.write_text(second.read_text().replace("ram_insertion", "Fold Towel"))
    import_dataset(tmp_path / "lab", tmp_path / "w")
    import_dataset(tmp_path / "lab", tmp_path / "named", session="s")
    assert EpisodeStore(tmp_path / "w").sessions() == ["lab-fold_towel", "lab-ram_insertion"]
    assert EpisodeStore(tmp_path / "named").sessions() == ["s", "s-fold_towel"]


def test_a_bad_episode_is_quarantined_and_the_others_come_in(tmp_path: Path) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    (tmp_path / "lab" / "episode_000000" / "episode.json").write_text('{"task": "x", "steps": [')
    report = import_dataset(tmp_path / "lab", tmp_path / "w")
    assert len(report.imported) == 1
    (refused,) = report.quarantined
    assert refused.episode == "episode_000000/episode.json"
    with pytest.raises(EpisodeFormatError):
        import_dataset(tmp_path / "lab", tmp_path / "w", strict=True)


def test_an_import_says_how_far_it_is(tmp_path: Path) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    (tmp_path / "lab" / "episode_000000" / "episode.json").write_text('{"task": "x", "steps": [')
    told: list[tuple[int, int]] = []
    import_dataset(tmp_path / "lab", tmp_path / "w", progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_refused_episode_leaves_nothing_of_it_in_memory(tmp_path: Path) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    for picture in (tmp_path / "lab").rglob("wrist*"):
        picture.write_bytes(picture.read_bytes()[:100])
    refused = import_dataset(tmp_path / "lab", tmp_path / "w").quarantined
    assert len(refused) == 2
    assert [part for e in refused for part in (e.__traceback__, e.__cause__, e.__context__) if part is not None] == []


def test_a_defect_that_forbids_use_is_quarantined(tmp_path: Path) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    for file in (tmp_path / "lab").rglob("episode.json"):
        seed = json.loads(file.read_text())
        seed["steps"][2]["ee_pose"][6] = 0
        file.write_text(json.dumps(seed))
    report = import_dataset(tmp_path / "lab", tmp_path / "w")
    assert report.imported == ()
    assert {error.key for error in report.quarantined} == {"ee_pose"}
    assert "quaternion_norm" in str(report.quarantined[0])
    assert not (tmp_path / "w").exists()


def test_what_a_person_says_wins(tmp_path: Path) -> None:
    said = {
        "instruction": "Push",
        "robot": "ur5e",
        "collection": "demo",
        "action_source": "human",
        "action_space": {"units": ["m"] * 7},
        "cameras": {"wrist": "hand"},
    }
    (tmp_path / "mapping.json").write_text(json.dumps(said))
    by_dict = import_dataset(SEED, tmp_path / "a", mapping=said)
    by_file = import_dataset(SEED, tmp_path / "b", mapping=tmp_path / "mapping.json")
    assert by_dict.imported == by_file.imported
    assert "action_units" not in kinds(by_dict)
    episode = EpisodeStore(tmp_path / "a").read(by_dict.imported[0])
    assert (episode.instruction, episode.robot, episode.collection) == ("Push", "ur5e", "demo")
    assert set(episode.action_source) == {ActionSource.HUMAN}
    assert sorted(episode.images) == ["hand", "third"]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [({"colour": "red"}, "colour"), ({"action_source": "me"}, "policy, recovery"), ("missing.json", "cannot be read")],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, mapping: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        import_dataset(SEED, tmp_path, mapping=mapping)  # type: ignore[arg-type]


def test_the_rate_is_assumed_with_a_warning_or_given(tmp_path: Path) -> None:
    assumed = import_dataset(SEED, tmp_path / "a")
    given = import_dataset(SEED, tmp_path / "b", fps=4)
    assert ("time" in kinds(assumed), "time" in kinds(given)) == (True, False)
    slow = EpisodeStore(tmp_path / "b").read(given.imported[0])
    assert (slow.fps, slow.time_derivation, slow.time_s[-1]) == (4, "assumed rate", 1.25)
    assert EpisodeStore(tmp_path / "a").read(assumed.imported[0]).fps == 10
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--fps"):
            import_dataset(SEED, tmp_path / "c", fps=rate)


def foreign(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.csv", b"a,b\n", "does not say what its columns mean"),
        ("x.hdf5", b"", "the file is empty"),
        ("x.hdf5", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("x.hdf5", b"\x89HDF\r\n\x1a\nrest", "cannot be read"),
        ("x.json", b'{"steps": {}}', "no format is recognised"),
        ("lab.zip", b"PK\x03\x04", "this is an archive .*; unpack it and give the folder"),
    ],
)
def test_foreign_files_are_refused_in_one_sentence(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    with pytest.raises(EpisodeFormatError, match=says) as caught:
        import_dataset(foreign(tmp_path, name, data), tmp_path / "w", allow_pickle=True)
    assert caught.value.file == name
    assert not (tmp_path / "w").exists()


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        import_dataset(tmp_path / "nothing", tmp_path)
    with pytest.raises(UsageError, match="the formats are"):
        import_dataset(SEED, tmp_path, format="zarr")
    for name in ({"task": "../x"}, {"session": "A"}):
        with pytest.raises(UsageError, match="is not a name"):
            import_dataset(SEED, tmp_path, **name)  # type: ignore[arg-type]


def test_a_busy_session_stops_the_import(tmp_path: Path) -> None:
    with EpisodeStore(tmp_path).writing("friday"), pytest.raises(DataRefused, match="is being written by"):
        import_dataset(SEED, tmp_path, session="friday")


def test_no_path_of_this_machine_is_stored(tmp_path: Path) -> None:
    report = import_dataset(SEED, tmp_path)
    uri = EpisodeStore(tmp_path).attributes(report.imported[0])["source_uri"]
    assert uri == "seed_json/episode_000000/episode.json"
    for path in (tmp_path / "episodes").rglob("*.h5"):
        assert str(DATA).encode() not in path.read_bytes()


def test_imported_arrays_are_the_sources(tmp_path: Path) -> None:
    report = import_dataset(SEED, tmp_path)
    seed = json.loads((SEED / "episode_000000" / "episode.json").read_text())
    episode = EpisodeStore(tmp_path).read(report.imported[0])
    want = np.array([step["action"] for step in seed["steps"]], np.float32)
    assert episode.executed_action is not None
    np.testing.assert_array_equal(episode.executed_action, want)


def exported(tmp_path: Path, *episodes: Episode, format: str = "robomimic") -> Path:
    """A dataset of another program with these episodes in it."""
    store = EpisodeStore(tmp_path / "before")
    ids = [store.write(episode) for episode in episodes]
    destination = tmp_path / ("demo.hdf5" if format == "robomimic" else format)
    export_dataset(store, destination, [Leaving(episode_id=name) for name in ids], format=format)
    return destination


def test_one_trajectory_from_two_formats_is_named_and_shares_a_split(tmp_path: Path) -> None:
    recorded = [sample_episode(seed, length=5) for seed in range(20)]
    root = tmp_path / "w"
    pixels = exported(tmp_path, *recorded)  # JPEG becomes PNG: other episodes, the same trajectories
    first = import_dataset(pixels, root)
    second = import_dataset(exported(tmp_path, *recorded, format="lerobot-v3"), root)
    assert (first.same_trajectory, second.duplicates) == ((), ())
    assert second.same_trajectory == tuple(zip(second.imported, first.imported, strict=True))
    splits = dict(assign(EpisodeStore(root), "tube_insertion").select("episode_id", "split").iter_rows())
    assert len(set(splits.values())) == 4
    assert [pair for pair in second.same_trajectory if splits[pair[0]] != splits[pair[1]]] == []
    third = import_dataset(pixels, root, task="ram", mapping={"instruction": "another name of it"})
    assert {there for _, there in third.same_trajectory} <= {*first.imported, *second.imported}
    ram = assign(EpisodeStore(root), "ram")
    assert {(row["group_id"], row["split"]) for row in ram.to_dicts()} <= {
        (row["group_id"], row["split"]) for row in read_split(root).to_dicts() if row["task"] == "tube_insertion"
    }


def test_the_console_names_what_is_there_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = exported(tmp_path, *(sample_episode(seed, length=5) for seed in range(7)))
    root = str(tmp_path / "w")
    assert main(["import", str(source), "--root", root]) == 0
    capsys.readouterr()
    assert main(["import", str(source), "--root", root]) == 0
    ids = EpisodeStore(root).ids()
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("already there: "))
    assert line.endswith(" and 2 more")
    assert len([name for name in ids if name in line]) == 5
    (tmp_path / "m.json").write_text('{"instruction": "again"}')
    assert main(["import", str(source), "--mapping", str(tmp_path / "m.json"), "--root", root]) == 0
    out = capsys.readouterr().out
    new = min(set(EpisodeStore(root).ids()) - set(ids))
    assert "the same trajectory twice: " in out
    assert f"{new} like " in out or "and 2 more" in out


def test_an_episode_that_the_dataset_has_twice_is_named_as_such_by_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    shutil.copytree(SEED / "episode_000001", tmp_path / "lab/episode_000007")
    told = "twice in the dataset: episode_000007/episode.json is episode_000001/episode.json again; each is kept once"
    counts = ("2 imported, 0 already there, 1 twice in the dataset, 0 refused", "0 imported, 2 already there, 1 twice")
    for count in counts:
        assert main(["import", str(tmp_path / "lab"), "--root", str(tmp_path / "w")]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert told in lines
        assert any(line.startswith(count) for line in lines)
        assert any(line.startswith("already there: ") for line in lines) == count.startswith("0 imported")


def test_equal_refusals_are_one_line_and_all_stand_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SEED, tmp_path / "lab")
    for number in range(2, 6):
        shutil.copytree(SEED / "episode_000000", tmp_path / f"lab/episode_{number:06d}")
        (tmp_path / f"lab/episode_{number:06d}/frames/wrist_{number:06d}.jpg").unlink()
    (tmp_path / "lab/episode_000001/episode.json").write_text('{"steps": [')
    assert main(["import", str(tmp_path / "lab"), "--root", str(tmp_path / "w")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("refused: ")]
    assert len(lines) == 2
    assert lines[1].startswith("refused: the file 'episode_000002/frames/wrist_000002.jpg' is missing (lab, episode ")
    assert lines[1].endswith("; copy the dataset again, whole (and 3 more like it; --json lists all)")
    assert main(["import", str(tmp_path / "lab"), "--json", "--root", str(tmp_path / "v")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (len(report["imported"]), report["duplicates"]) == (1, [])
    assert [refusal["episode"][:14] for refusal in report["refused"]] == [f"episode_{n:06d}" for n in range(1, 6)]
    assert report["refused"][1]["key"] == "steps.2.wrist_rgb"


def test_each_class_of_defect_is_one_warning_with_its_count(tmp_path: Path) -> None:
    black = EncodedFrames.pack([encode_jpeg(np.zeros((16, 24, 3), np.uint8))] * 6, "jpeg", 16, 24)
    stamps = {"duplicate": 3, "backward": 1}
    source = exported(
        tmp_path,
        sample_episode(1, wrench=np.zeros((6, 6), np.float32), source_time_defects=stamps),
        sample_episode(2, wrench=np.zeros((6, 6), np.float32), images={"wrist": black}),
        sample_episode(3, time_s=np.array([0, 0.1, 0.2, 0.3, 2.0, 2.1])),
    )
    warnings = import_dataset(source, tmp_path / "w").warnings
    counts = {name: text for text in warnings for name, _, rest in [text.partition(" (")] if rest}
    assert set(counts) == {"dead_wrench", "source_time_defects", "blank_camera", "gap"}
    assert counts["dead_wrench"].startswith("dead_wrench (2 of 3 episodes): the wrench never changes")
    assert "1 backward, 3 duplicate" in counts["source_time_defects"]
    assert "(1 of 3 episodes)" in counts["blank_camera"]


@pytest.mark.parametrize("names", [("lerobot_v21_bridge", "baxter_rosbag1"), ("lerobot_v21_bridge",)])
def test_a_folder_of_datasets_is_refused_with_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / "lab" / name).parent.mkdir(exist_ok=True)
        shutil.copytree(DATA / name, tmp_path / "lab" / name)
    with pytest.raises(EpisodeFormatError, match="import each by itself") as caught:
        import_dataset(tmp_path / "lab", tmp_path / "w")
    assert all(name in str(caught.value) for name in names)
    assert not (tmp_path / "w" / "episodes").exists()
