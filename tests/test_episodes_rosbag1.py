"""ROS 1 bags: a real one with its own message types, made ones with several topics, and damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="ROS bags are an extra")
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats import ImportReport, import_dataset
from episodes.formats.ros1 import bag as ros1_bag
from episodes.formats.ros1.messages import decode, places
from episodes.images import decode as decode_image
from episodes.images import encode_jpeg
from episodes.record import Episode, Outcome
from episodes.store import EpisodeStore

BAG = Path(__file__).parent / "data" / "baxter_rosbag1"
TAG = "/tag_multimodal"
FORCE = {"wrench": f"{TAG}:wrench_stamped.wrench"}
TWIST = {"proprio": f"{TAG}:endpoint_state.twist"}
STORE = get_typestore(Stores.ROS1_NOETIC)
START_NS = 1_700_000_000_000_000_000


def imported(source: Path, root: Path, **mapping: Any) -> tuple[ImportReport, Episode]:
    report = import_dataset(source, root, mapping=mapping)
    assert not report.quarantined, report.quarantined
    return report, EpisodeStore(root).read(report.imported[0])


def refusal(source: Path, root: Path, **mapping: Any) -> str:
    (refused,) = import_dataset(source, root, mapping=mapping).quarantined
    assert refused.remedy
    return str(refused)


# --- a real bag ------------------------------------------------------------------------------------------------------


def test_where_two_places_fit_the_import_is_refused_until_one_is_named(tmp_path: Path) -> None:
    says = refusal(BAG, tmp_path)
    assert "wrench can be in 2 places" in says
    lines = says.partition("(--mapping): ")[2].split(" or ")
    assert lines == [f'fields.wrench = "{TAG}:{place}.wrench"' for place in ("endpoint_state", "wrench_stamped")]
    written = tmp_path / "mapping.toml"
    written.write_text(lines[1])
    (refused,) = import_dataset(BAG, tmp_path, mapping=written).quarantined
    assert "speaks of 1 joints in one message and of 17 in another" in str(refused)
    joints = refused.remedy.partition(", of ")[2]
    written.write_text(f"{lines[1]}\n{joints}")
    (episode,) = import_dataset(BAG, tmp_path, mapping=written).imported
    assert len(EpisodeStore(tmp_path).read(episode).proprio_names) == 18


def test_a_real_bag_comes_in_by_its_own_message_definitions(tmp_path: Path) -> None:
    report, episode = imported(BAG, tmp_path, fields=FORCE | TWIST)
    assert (len(episode), episode.task, episode.success) == (120, "baxter_rosbag1", Outcome.UNKNOWN)
    assert (round(episode.fps), episode.time_derivation, episode.source_time_defects) == (100, "recorded", {})
    assert episode.recorded_at == "2017-09-18T12:01:51+00:00"
    assert episode.wrench is not None
    assert episode.ee_pose is not None
    np.testing.assert_allclose(episode.wrench[0], [1.112, 0.216, -0.25, 0.015, 0.014, -0.04], atol=1e-6)
    np.testing.assert_allclose(episode.ee_pose[0, :4], [0.338743, -0.694985, 0.063785, 0.303863], atol=1e-6)
    assert episode.wrench_attrs["frame"] == "robotiq_force_torque_frame_id"
    assert any("ee_pose is read from /tag_multimodal:endpoint_state.pose" in warning for warning in report.warnings)


def test_joints_that_come_in_turns_are_held_by_name(tmp_path: Path) -> None:
    joints = ["right_s0", "r_gripper_l_finger_joint"]
    report, episode = imported(BAG, tmp_path, fields=FORCE, joints=joints)
    assert len(episode) == 119
    assert "1 steps before each topic has spoken are left out" in report.warnings
    assert episode.proprio_names == tuple(joints)
    assert episode.proprio is not None
    assert np.isfinite(episode.proprio).all()
    assert "never has a value for each of" in refusal(BAG, tmp_path / "w", fields=FORCE, joints=["elbow"])


# --- made bags -------------------------------------------------------------------------------------------------------


def stamped(seconds: float, **values: Any) -> Any:
    header = STORE.types["std_msgs/msg/Header"]
    time = STORE.types["builtin_interfaces/msg/Time"]
    return header(seq=0, stamp=time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9)), frame_id="tool")


def pose(seconds: float, x: float = 0.0) -> Any:
    types = STORE.types
    point, turn = types["geometry_msgs/msg/Point"], types["geometry_msgs/msg/Quaternion"]
    inner = types["geometry_msgs/msg/Pose"](
        position=point(x=x, y=0.0, z=0.0), orientation=turn(x=0.0, y=0.0, z=0.0, w=1.0)
    )
    return types["geometry_msgs/msg/PoseStamped"](header=stamped(seconds), pose=inner)


def flag(value: bool) -> Any:
    return STORE.types["std_msgs/msg/Bool"](data=value)


def text(value: str) -> Any:
    return STORE.types["std_msgs/msg/String"](data=value)


def compressed(grey: int) -> Any:
    data = np.frombuffer(encode_jpeg(np.full((8, 12, 3), grey, np.uint8)), np.uint8)
    return STORE.types["sensor_msgs/msg/CompressedImage"](header=stamped(0), format="jpeg", data=data)


def raw_image(pixels: Any, encoding: str) -> Any:
    height, width = pixels.shape[:2]
    data = pixels.reshape(-1)
    return STORE.types["sensor_msgs/msg/Image"](
        header=stamped(0),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=len(data) // height,
        data=data,
    )


def write_bag(path: Path, said: Iterable[tuple[str, float, Any]], compression: Any = None) -> Path:
    """A bag of messages (topic, seconds of receipt, message)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(path)
    if compression:
        writer.set_compression(compression)
    with writer:
        known: dict[str, Any] = {}
        for topic, seconds, message in said:
            name = message.__msgtype__
            if topic not in known:
                known[topic] = writer.add_connection(topic, name, typestore=STORE)
            writer.write(known[topic], START_NS + round(seconds * 1e9), STORE.serialize_ros1(message, name))
    return path


def poses(count: int = 5) -> list[tuple[str, float, Any]]:
    return [("/pose", t / 10, pose(1 + t / 10, x=t)) for t in range(count)]


def bytes_of_bag() -> bytes:
    with TemporaryDirectory() as folder:
        return write_bag(Path(folder) / "a.bag", poses(3)).read_bytes()


POSES = bytes_of_bag()


def test_a_step_has_what_was_last_said_before_it(tmp_path: Path) -> None:
    flags = [("/human_intervene", 0.15, flag(True)), ("/human_intervene", 0.35, flag(False))]
    bag = write_bag(tmp_path / "lab" / "a.bag", sorted(poses() + flags, key=lambda said: said[1]))
    _, episode = imported(bag, tmp_path / "w")
    assert episode.action_source.tolist() == [255, 255, 2, 2, 0]
    assert episode.ee_pose is not None
    assert episode.ee_pose[:, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(episode.time_s, np.arange(5) / 10, atol=1e-9)


def test_an_outcome_that_is_said_once_counts_and_a_label_by_its_meaning(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "lab" / "a.bag", [*poses(), ("/success", 0.39, flag(True)), ("/pose", 0.5, pose(1.5))])
    assert imported(bag, tmp_path / "w")[1].success is Outcome.SUCCESS
    bag = write_bag(tmp_path / "lab" / "b.bag", [*poses(), ("/verdict", 0.39, text("jam")), ("/pose", 0.5, pose(1.5))])
    said = {"success": {"from": "/verdict", "values": {"jam": "failure"}}}
    assert imported(bag, tmp_path / "v", fields=said)[1].success is Outcome.FAILURE


def test_several_topics_need_the_steps_named(tmp_path: Path) -> None:
    pictures = [("/camera/wrist/image_raw/compressed", t / 5 + 0.05, compressed(40 * t)) for t in range(4)]
    bag = write_bag(tmp_path / "lab" / "a.bag", sorted([*poses(8), *pictures], key=lambda said: said[1]))
    assert "/camera/wrist/image_raw/compressed (4), /pose (8)" in refusal(bag, tmp_path / "w")
    report, episode = imported(bag, tmp_path / "w", steps="/camera/wrist/image_raw/compressed")
    assert (len(episode), list(episode.images)) == (4, ["wrist"])
    assert [round(decode_image(episode.images["wrist"].frame(t), "jpeg").mean() / 40) for t in range(4)] == [0, 1, 2, 3]
    _, by_pose = imported(bag, tmp_path / "v", steps="/pose")
    assert len(by_pose) == 7
    assert [round(decode_image(by_pose.images["wrist"].frame(t), "jpeg").mean() / 40) for t in range(7)] == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
    ]
    assert report.imported


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "rgba8"])
def test_raw_pictures_keep_every_pixel(tmp_path: Path, encoding: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    rgb = np.repeat(rgb[:, :, :1], 3, axis=2) if encoding == "mono8" else rgb
    alpha = np.zeros((4, 6, 1), np.uint8)
    coded = {
        "rgb8": rgb,
        "bgr8": rgb[:, :, ::-1],
        "mono8": rgb[:, :, :1],
        "rgba8": np.concatenate([rgb, alpha], axis=2),
    }
    bag = write_bag(tmp_path / "lab" / "a.bag", [("/third/image_raw", 0.0, raw_image(coded[encoding], encoding))])
    _, episode = imported(bag, tmp_path / "w")
    np.testing.assert_array_equal(decode_image(episode.images["third"].frame(0), "png"), rgb)


def test_pictures_that_cannot_be_shown_and_cameras_of_one_name_are_refused(tmp_path: Path) -> None:
    deep = np.zeros((4, 12), np.uint8)
    bag = write_bag(tmp_path / "lab" / "a.bag", [("/a/image_raw", 0.0, raw_image(deep, "16UC1"))])
    assert "'16UC1'" in refusal(bag, tmp_path / "w")
    two = [("/a/image_raw", 0.0, raw_image(deep, "mono8")), ("/a/compressed", 0.1, compressed(0))]
    assert "would both be camera a" in refusal(write_bag(tmp_path / "lab" / "b.bag", two), tmp_path / "w")


def test_stamps_that_repeat_or_go_back_give_way_to_the_time_of_receipt(tmp_path: Path) -> None:
    said = [("/pose", t / 10, pose(stamp)) for t, stamp in enumerate([5.0, 5.0, 4.0, 6.0])]
    report, episode = imported(write_bag(tmp_path / "lab" / "a.bag", said), tmp_path / "w")
    assert episode.source_time_defects == {"duplicate": 1, "backward": 1}
    np.testing.assert_allclose(episode.time_s, np.arange(4) / 10, atol=1e-9)
    assert any("1 backward, 1 duplicate" in warning for warning in report.warnings)
    unset = write_bag(tmp_path / "lab" / "b.bag", [("/pose", t / 10, pose(0)) for t in range(3)])
    assert imported(unset, tmp_path / "v")[1].source_time_defects == {}


@pytest.mark.parametrize("compression", [None, Writer.CompressionFormat.BZ2, Writer.CompressionFormat.LZ4])
def test_every_bag_of_a_directory_is_an_episode(tmp_path: Path, compression: Any) -> None:
    for number in range(3):
        write_bag(tmp_path / "lab" / f"{number}.bag", poses(3 + number), compression)
    report = import_dataset(tmp_path / "lab", tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    assert [len(store.read(found)) for found in report.imported] == [3, 4, 5]
    assert store.tasks() == ["lab"]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"fields": {"reward": "/nothing"}}, "there is no topic '/nothing' (lab, episode a.bag); the topics are /pose"),
        ({"fields": {"reward": "/pose:pose.up"}}, "have no 'pose.up'"),
        ({"fields": {"reward": "/pose:pose"}}, "reward has 7 columns and not 1"),
        ({"fields": {"reward": "/pose:header.frame_id"}}, "where numbers are meant"),
        ({"steps": "/nothing"}, "there is no topic"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path: Path, mapping: dict[str, Any], says: str) -> None:
    assert says in refusal(write_bag(tmp_path / "lab" / "a.bag", poses()), tmp_path / "w", **mapping)


# --- damage ----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_a_damaged_bag_is_read_or_refused_and_never_worse(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    bag = tmp_path_factory.getbasetemp() / "damaged.bag"
    at, cut = data.draw(st.integers(13, len(POSES) - 1)), data.draw(st.booleans())
    bag.write_bytes(POSES[:at] if cut else POSES[:at] + bytes([POSES[at] ^ 0xFF]) + POSES[at + 1 :])
    with suppress(DataRefused), ros1_bag.opened(bag) as opened:
        assert len(list(opened.messages(set(opened.counts)))) <= 3


def test_a_record_that_claims_more_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def claims(reader: object) -> None:
        raise MemoryError

    monkeypatch.setattr("rosbags.rosbag1.Reader.open", claims)
    assert "the bag cannot be read: MemoryError" in refusal(BAG, tmp_path)


def test_a_chunk_that_unfolds_to_more_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros1_bag, "LARGEST_CHUNK", 100)
    for number, compression in enumerate((Writer.CompressionFormat.BZ2, Writer.CompressionFormat.LZ4)):
        bag = write_bag(tmp_path / "lab" / f"{number}.bag", poses(), compression)
        assert "unfolds to more than 100 bytes" in refusal(bag, tmp_path / "w")


@pytest.mark.parametrize("data", [b"", b"#ROSBAG V1.2\n", b"#ROSBAG V2.0\n", b"\x00" * 40])
def test_a_bag_of_another_kind_among_others_is_refused(tmp_path: Path, data: bytes) -> None:
    write_bag(tmp_path / "lab" / "a.bag", poses())
    (tmp_path / "lab" / "b.bag").write_bytes(data)
    report = import_dataset(tmp_path / "lab", tmp_path / "w")
    assert (len(report.imported), len(report.quarantined)) == (1, 1)
    assert "the bag cannot be read" in str(report.quarantined[0])


def test_a_link_out_of_the_dataset_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "a.bag", poses())
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "a.bag").symlink_to(bag)
    assert "leads out of the dataset" in refusal(tmp_path / "lab", tmp_path / "w")


NESTED_TEXT = (
    "lab_msgs/Outer outer\nlab_msgs/Tiny[] many\nstring[2] names\nuint8[] raw\n"
    + "=" * 80
    + ("\nMSG: lab_msgs/Outer\nfloat32 up\ntime when\n" + "=" * 80 + "\nMSG: lab_msgs/Tiny\nint16 one\n")
)


NESTED = get_types_from_msg(NESTED_TEXT, "lab_msgs/msg/All")


def test_messages_in_messages_lists_and_texts_are_read() -> None:
    data = struct.pack("<fII", 0.5, 7, 8) + struct.pack("<Ihh", 2, -1, 3) + struct.pack("<I2sI1s", 2, b"ab", 1, b"c")
    message = decode(NESTED, "lab_msgs/msg/All", data + struct.pack("<I2B", 2, 9, 8))
    assert message["outer"] == {"up": 0.5, "when": {"sec": 7, "nanosec": 8}}
    assert (message["many"], message["names"], message["raw"].tolist()) == (
        [{"one": -1}, {"one": 3}],
        ["ab", "c"],
        [9, 8],
    )


@given(st.binary(max_size=24))
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(DataRefused, match="is not what its definition says"):
        decode(NESTED, "lab_msgs/msg/All", data)


def test_a_type_that_contains_itself_has_no_end() -> None:
    types = get_types_from_msg("lab_msgs/All again\n", "lab_msgs/msg/All")
    with pytest.raises(DataRefused, match="contains itself"):
        list(places(types, "lab_msgs/msg/All"))
    with pytest.raises(DataRefused, match="contains itself"):
        decode(types, "lab_msgs/msg/All", b"1234")


def test_a_file_that_is_no_bag_is_of_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "a.bag").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(EpisodeFormatError, match="git lfs pull"):
        import_dataset(tmp_path / "a.bag", tmp_path / "w")
