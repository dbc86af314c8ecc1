"""A disk that fills up and a source that changes, for a reader of each family: what was there before is there still."""

from __future__ import annotations

import shutil
from contextlib import closing
from itertools import count
from os import utime
from pathlib import Path

import pytest
from full_disk import full_disk, stored
from import_samples import dataset, exported, mapping_of

from episodes.errors import EpisodeFormatError
from episodes.formats import import_dataset, source
from episodes.formats.registry import open_dataset
from episodes.formats.source import read_mapping
from episodes.store import EpisodeStore

FAMILIES = ("lerobot_v3", "rlds", "aloha_hdf5", "rosbag1", "seed_json", "columns", "transition_pickle")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dataset of each family, not to be changed."""
    folder = tmp_path_factory.mktemp("datasets")
    exported(folder / "lerobot_v3", "lerobot-v3")
    return {
        format: folder / format if format == "lerobot_v3" else dataset(format, folder / format) for format in FAMILIES
    }


@pytest.mark.parametrize(
    ("format", "keep"), [("seed_json", 0.0), ("seed_json", 1.0), *((format, 0.3) for format in FAMILIES)]
)
def test_a_disk_that_fills_up_leaves_the_workspace_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: dict[str, Path], format: str, keep: float
) -> None:
    given = {
        "format": format,
        "mapping": mapping_of(samples[format]),
        "task": "t",
        "session": "s",
        "allow_pickle": True,
    }
    EpisodeStore(tmp_path).workspace.open(tmp_path, create=True)
    before = stored(tmp_path)
    with full_disk(monkeypatch, keep):
        import_dataset(samples[format], tmp_path, **given)  # type: ignore[arg-type]
    assert stored(tmp_path) == before
    assert import_dataset(samples[format], tmp_path, **given).imported  # type: ignore[arg-type]


@pytest.mark.parametrize("format", [name for name in FAMILIES if name not in ("rlds", "seed_json")])
def test_a_source_that_changes_while_it_is_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, samples: dict[str, Path], format: str
) -> None:
    ticks = count()
    with closing(open_dataset(samples[format], format, read_mapping(mapping_of(samples[format])), None)) as opened:
        monkeypatch.setattr(source, "stamp", lambda path: (next(ticks), 0, 0))
        with pytest.raises(EpisodeFormatError, match="changed while it was read"):
            opened.read(opened.names[0])


def test_a_pickle_that_was_written_again_since_it_was_listed_is_refused(samples: dict[str, Path]) -> None:
    with closing(open_dataset(samples["transition_pickle"], "transition_pickle", read_mapping(None), None)) as opened:
        for path in samples["transition_pickle"].rglob("*.pkl"):
            utime(path, (1, 1))
        with pytest.raises(EpisodeFormatError, match="changed while it was read"):
            opened.read(opened.names[0])


@pytest.mark.parametrize(("format", "files"), [("rlds", "1.0.0/*.tfrecord*"), ("seed_json", "*/frames/*.jpg")])
def test_a_source_that_says_itself_what_it_holds_is_believed_no_longer_once_it_changed(
    tmp_path: Path, samples: dict[str, Path], format: str, files: str
) -> None:
    shutil.copytree(samples[format], tmp_path / "lab")
    opened = open_dataset(tmp_path / "lab", format, read_mapping(None), None)
    for path in (tmp_path / "lab").glob(files):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 3] + bytes(len(data) // 3))
    for name in opened.names:
        with pytest.raises(EpisodeFormatError):
            opened.read(name)


HEARTS = [
    ("lerobot_v2", "meta/info.json"),
    ("lerobot_v3", "meta/info.json"),
    ("rlds", "1.0.0/features.json"),
    ("rlds", "1.0.0/*.tfrecord*"),
    ("robosuite_hdf5", "demo.hdf5"),
    ("seed_json", "episode_000000/episode.json"),
]
"""a dataset, and a file without which it is none"""


def broken(tmp_path: Path, format: str, heart: str) -> tuple[Path, Path]:
    """The dataset in a place of its own, and that file of it."""
    source = dataset(format, tmp_path / "lab")
    return source, next(source.glob(heart))


@pytest.mark.parametrize(("format", "heart"), HEARTS[:4])
def test_the_file_that_makes_it_a_dataset_is_named_where_it_is_missing(tmp_path: Path, format: str, heart: str) -> None:
    source, path = broken(tmp_path, format, heart)
    path.unlink()
    with pytest.raises(EpisodeFormatError, match=f"{path.name}' is missing|no TFRecord files in it"):
        import_dataset(source, tmp_path / "w")


@pytest.mark.parametrize(("format", "heart"), HEARTS)
def test_a_file_that_git_lfs_has_not_fetched_is_named(tmp_path: Path, format: str, heart: str) -> None:
    source, path = broken(tmp_path, format, heart)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(EpisodeFormatError, match=f"{path.name}.* is a Git LFS pointer .*; run `git lfs pull`"):
        import_dataset(source, tmp_path / "w", strict=True)
