"""RLDS TFRecord: the wire by known vectors, real episodes against the same ones in LeRobot, and damaged files."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rlds_samples import episode_values, example, field, framed, varint, write_rlds

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats import ImportReport, import_dataset
from episodes.formats.rlds.crc32c import crc32c
from episodes.formats.rlds.tfrecord import index, parse_example, read_record
from episodes.identity import group_id
from episodes.images import decode
from episodes.record import Outcome
from episodes.store import EpisodeStore

DATA = Path(__file__).parent / "data"
BRIDGE = DATA / "octo_bridge_rlds"
SHARD = "bridge_dataset-train.tfrecord-00000-of-00001"


# --- the wire --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"a", 0xC1D04330),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_has_the_published_values(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


def slow_crc32c(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(0, 1500))
def test_the_checksum_of_any_length_is_that_of_the_bitwise_loop(data: bytes, more: int) -> None:
    data = data + (data[:7] * more)[:more]
    assert crc32c(data) == slow_crc32c(data)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.binary(max_size=9)))
def test_an_example_is_read_as_it_was_written(numbers: list[int], texts: list[bytes]) -> None:
    floats = np.array([0.5, np.inf, -3], np.float32)
    found = parse_example(example({"n": np.array(numbers, np.int64), "f": floats, "t": texts, "steps/é": floats[:0]}))
    assert np.asarray(found["n"]).tolist() == numbers
    assert np.asarray(found["f"]).tolist() == floats.tolist()
    assert found["t"] == texts
    assert len(found["steps/é"]) == 0


def test_values_that_stand_one_by_one_are_read_too() -> None:
    floats = b"".join(varint(1 << 3 | 5) + np.float32(value).tobytes() for value in (1, 2))
    numbers = varint(1 << 3) + varint(7) + varint(1 << 3) + varint(300)
    entries = field(1, b"f") + field(2, field(2, floats)), field(1, b"n") + field(2, field(3, numbers))
    found = parse_example(field(1, b"".join(field(1, entry) for entry in entries)))
    assert {key: np.asarray(value).tolist() for key, value in found.items()} == {"f": [1, 2], "n": [7, 300]}


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_are_refused(data: bytes) -> None:
    with suppress(DataRefused):
        assert all(isinstance(value, (list, np.ndarray)) for value in parse_example(data).values())


@given(st.data())
def test_a_changed_byte_of_a_record_is_seen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.tfrecord"
    whole = framed(b"one") + framed(b"second")
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    found = index(path)
    try:
        records = [read_record(path, span) for span in found.spans]
    except DataRefused:
        return
    assert found.problem
    assert records in ([], [b"one"])


# --- real episodes ---------------------------------------------------------------------------------------------------


def test_real_episodes_come_in_with_what_the_source_states(tmp_path: Path) -> None:
    report = import_dataset(BRIDGE, tmp_path, fps=5)
    assert (len(report.imported), report.quarantined) == (2, ())
    kinds = [warning.split(" (")[0].split(":")[0] for warning in report.warnings]
    assert kinds == ["not kept", "action_units", "blank_camera", "outcome", "actor"]
    episode = EpisodeStore(tmp_path).read(report.imported[0])
    assert (len(episode), episode.fps, episode.task) == (10, 5, "bridge_dataset")
    assert episode.instruction == "put cup from counter or drying rack into sink"
    assert (episode.success, episode.collection) == (Outcome.UNKNOWN, "unknown")
    assert sorted(episode.images) == ["image_0", "image_1", "image_2", "image_3"]
    assert episode.executed_action is not None
    assert episode.proprio is not None
    state = [0.233815, 0.112443, 0.175049, 0.100043, -0.213819, 0.213338, 1.000816]
    np.testing.assert_allclose(episode.proprio[0], state, atol=1e-6)
    np.testing.assert_allclose(episode.executed_action[0], [0, 0, 0, -1.86e-07, -5.03e-07, 7.5e-08, 1], atol=1e-9)


def test_the_same_episodes_in_another_format_have_the_same_numbers_and_pictures(tmp_path: Path) -> None:
    rlds = import_dataset(BRIDGE, tmp_path / "a", fps=5)
    lerobot = import_dataset(DATA / "lerobot_v30_bridge", tmp_path / "b")
    one, other = EpisodeStore(tmp_path / "a"), EpisodeStore(tmp_path / "b")
    for mine, theirs in zip(rlds.imported, lerobot.imported, strict=False):
        a, b = one.read(mine), other.read(theirs)
        for name in ("proprio", "executed_action", "reward", "time_s"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
        assert (group_id(a), a.instruction) == (group_id(b), b.instruction)
        for t in range(len(a)):
            passed, coded = (decode(e.images["image_0"].frame(t), "jpeg").astype(float) for e in (a, b))
            assert np.abs(passed - coded).mean() < 6


def test_the_rate_is_assumed_with_a_warning(tmp_path: Path) -> None:
    report = import_dataset(BRIDGE, tmp_path)
    assert any(warning.startswith("time: the source gives none, so 10 ") for warning in report.warnings)


# --- meaning ---------------------------------------------------------------------------------------------------------


def imported(tmp_path: Path, *episodes: dict[str, Any], **given: Any) -> tuple[ImportReport, EpisodeStore]:
    source = write_rlds(tmp_path / "source", episodes)
    return import_dataset(source, tmp_path / "w", **given), EpisodeStore(tmp_path / "w")


def test_flags_and_metadata_have_their_meaning(tmp_path: Path) -> None:
    flags = {"steps/is_intervention": np.array([0, 0, 1, 1]), "episode_metadata/success": np.array([[1]])}
    report, store = imported(tmp_path, episode_values(**flags))
    episode = store.read(report.imported[0])
    assert (episode.action_source.tolist(), episode.collection) == ([0, 0, 2, 2], "takeover")
    assert (episode.success, episode.success_derivation) == (Outcome.SUCCESS, "field success of the source")


def test_a_step_feature_that_the_outcome_was_read_from_is_kept(tmp_path: Path) -> None:
    extra = {"steps/success": np.array([0, 0, 0, 1]), "steps/other": np.arange(4)}
    report, store = imported(tmp_path, episode_values(**extra))
    assert store.read(report.imported[0]).success is Outcome.SUCCESS
    assert [told for told in report.warnings if "not kept" in told] == ["not kept: other of the steps"]


def test_an_action_in_parts_is_refused_until_its_order_is_said(tmp_path: Path) -> None:
    parts = {"steps/action/turn": np.ones((4, 3), np.float32), "steps/action/grip": np.zeros(4, np.float32)}
    values = {key: value for key, value in episode_values().items() if key != "steps/action"} | parts
    report, _ = imported(tmp_path, values)
    assert "their order is not known" in str(report.quarantined[0])
    fields = {"executed_action": {"from": ["action/turn", "action/grip"], "unit": "1"}}
    report = import_dataset(tmp_path / "source", tmp_path / "w", mapping={"fields": fields})
    episode = EpisodeStore(tmp_path / "w").read(report.imported[0])
    assert episode.executed_action is not None
    assert episode.executed_action[0].tolist() == [1, 1, 1, 0]
    assert episode.action_space["names"] == ["action/turn.0", "action/turn.1", "action/turn.2", "action/grip"]


def test_without_a_state_all_observations_side_by_side_are_the_proprioception(tmp_path: Path) -> None:
    values = {key: value for key, value in episode_values().items() if "state" not in key}
    values |= {"steps/observation/q": np.ones((4, 2), np.float32), "steps/observation/g": np.zeros(4, np.float32)}
    report, store = imported(tmp_path, values)
    episode = store.read(report.imported[0])
    assert episode.proprio_names == ("observation/g", "observation/q.0", "observation/q.1")


def test_a_mapping_names_what_is_not_there(tmp_path: Path) -> None:
    mapping = {"fields": {"wrench": {"from": "observation/force", "unit": ["N", "Nm"]}}}
    report, _ = imported(tmp_path, episode_values(), mapping=mapping)
    assert "no numbers 'observation/force' (" in str(report.quarantined[0])


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(tmp_path: Path, change: Any) -> ImportReport:
    """What becomes of the real dataset when `change` has worked on the bytes of its shard."""
    shutil.copytree(BRIDGE, tmp_path / "copy")
    shard = tmp_path / "copy" / "1.0.0" / SHARD
    shard.write_bytes(change(shard.read_bytes()))
    return import_dataset(tmp_path / "copy", tmp_path / "w", fps=5)


@pytest.mark.parametrize(
    ("change", "imported", "says"),
    [
        (lambda data: data[:-9], 1, "the file ends inside the record"),
        (lambda data: data + b"\0\0", 2, "ends inside the header"),
        (lambda data: data[:4000] + b"x" + data[4001:], 1, "wrong checksum"),
        (lambda data: b"\1" + data[1:], 0, "the length of the record at byte 0"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\n", 0, "git lfs pull"),
        (lambda data: b"\x1f\x8b" + data, 0, "gunzip"),
        (lambda data: b"", 0, "has 0 of 2 records"),
        (lambda data: data[: index(BRIDGE / "1.0.0" / SHARD).spans[1][0] - 12], 1, "has 1 of 2 records"),
    ],
)
def test_damage_is_named_and_the_other_episodes_come_in(tmp_path: Path, change: Any, imported: int, says: str) -> None:
    report = damaged(tmp_path, change)
    assert len(report.imported) == imported
    (refused,) = report.quarantined
    assert says in str(refused)
    assert SHARD in str(refused)
    assert refused.remedy


def test_a_missing_shard_and_a_missing_split_are_named(tmp_path: Path) -> None:
    source = write_rlds(tmp_path / "source", [episode_values(seed=seed) for seed in range(4)], shards=2)
    info = json.loads((source / "dataset_info.json").read_text())
    info["splits"].append({"name": "val", "shardLengths": ["1"]})
    (source / "dataset_info.json").write_text(json.dumps(info))
    (source / "made-train.tfrecord-00001-of-00002").unlink()
    report = import_dataset(source, tmp_path / "w")
    assert len(report.imported) == 2
    assert "the shard is missing (made-train.tfrecord-00001-of-00002" in str(report.quarantined[0])
    assert "not there: split val of dataset_info.json" in report.warnings
    alone = import_dataset(source / "made-train.tfrecord-00000-of-00002", tmp_path / "alone")
    assert (len(alone.imported), alone.quarantined) == (2, ())


def test_features_of_several_lengths_are_refused(tmp_path: Path) -> None:
    report, _ = imported(tmp_path, episode_values() | {"steps/reward": np.zeros(3, np.float32)}, episode_values(seed=1))
    assert len(report.imported) == 1
    assert "reward has 3 steps where action has 4" in str(report.quarantined[0])


def test_a_shard_that_leads_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    source = write_rlds(tmp_path / "source", [episode_values()])
    shard = source / "made-train.tfrecord-00000-of-00001"
    shutil.move(shard, tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    report = import_dataset(source, tmp_path / "w")
    assert report.imported == ()
    assert "leads out of the dataset" in str(report.quarantined[0])


@pytest.mark.parametrize("text", ["{", "[]", "\ud800"])
def test_a_broken_features_file_is_refused(tmp_path: Path, text: str) -> None:
    source = write_rlds(tmp_path / "source", [episode_values()])
    (source / "features.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(EpisodeFormatError, match=r"features\.json"):
        import_dataset(source, tmp_path / "w")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("features.json", {"featuresDict": {"features": 1.5}}),
        ("features.json", {"featuresDict": {"features": {"a": {"tensor": {"shape": {"dimensions": [1e400]}}}}}}),
        ("dataset_info.json", {"splits": ["train"]}),
        ("dataset_info.json", {"splits": [{"name": "train", "shardLengths": [[]]}]}),
        ("dataset_info.json", {"name": {}}),
    ],
)
def test_descriptions_of_another_make_are_refused(tmp_path: Path, file: str, content: Any) -> None:
    source = write_rlds(tmp_path / "source", [episode_values()])
    (source / file).write_text(json.dumps(content))
    with pytest.raises(EpisodeFormatError, match=file):
        import_dataset(source, tmp_path / "w")


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    report, _ = imported(tmp_path, episode_values() | {"steps/language_instruction": [b"a\xff"] * 4})
    assert "not UTF-8" in str(report.quarantined[0])
