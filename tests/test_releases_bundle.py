"""A release: every byte is held against the manifest, and nothing that could hold code gets in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from release_parts import CREATED, make_parts, make_release

from episodes.errors import DataRefused, IntegrityError, UsageError
from releases.bundle import Release, open_release, verify, versions
from releases.manifest import MANIFEST, inside_part


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    return make_parts(tmp_path / "models")


@pytest.fixture
def release(tmp_path: Path, parts: dict[str, Path]) -> Release:
    return make_release(tmp_path / "root", parts)


def test_a_release_is_named_by_the_hash_of_its_manifest(tmp_path: Path, release: Release) -> None:
    data = (release.directory / MANIFEST).read_bytes()
    assert release.version == hashlib.sha256(data).hexdigest()
    assert release.directory == tmp_path / "root" / "releases" / release.version[:16]
    said = json.loads(data)
    assert said["schema"] == 1
    assert said["kind"] == "bundle"
    assert said["created"] == CREATED
    assert said["parents"]["label_freeze"] == "demo"
    assert said["evaluation"]["trigger"] is None
    assert len(said["files"]) == 13
    assert {entry["path"].split("/")[0] for entry in said["files"]} == {
        "value",
        "trigger",
        "memory",
        "recovery",
        "policy",
    }
    assert "value/nets/fold-0.safetensors" in {entry["path"] for entry in said["files"]}
    assert str(tmp_path) not in data.decode()
    assert verify(release.directory) == release.manifest
    assert release.part("policy") == release.directory / "policy"


def test_equal_content_is_one_release_and_other_content_another(tmp_path: Path, release: Release) -> None:
    root = tmp_path / "root"
    again = make_release(root, make_parts(tmp_path / "again"))
    other = make_release(root, make_parts(tmp_path / "other", scale=2.0))
    assert again.version == release.version
    assert other.version != release.version
    assert versions(root) == sorted({release.directory.name, other.directory.name})
    assert open_release(root, release.version[:16]).manifest == release.manifest
    assert not (root / "releases" / ".building").exists()


def test_a_policy_is_optional_and_the_four_are_not(tmp_path: Path, parts: dict[str, Path]) -> None:
    root = tmp_path / "root"
    without = make_release(root, {name: path for name, path in parts.items() if name != "policy"})
    with pytest.raises(DataRefused, match="has no policy"):
        without.part("policy")
    for missing in ("value", "trigger", "memory", "recovery"):
        with pytest.raises(DataRefused, match=missing):
            make_release(root, {name: path for name, path in parts.items() if name != missing})
    with pytest.raises(DataRefused, match="no part"):
        make_release(root, {**parts, "notes": parts["value"]})


def test_one_flipped_byte_in_any_file_is_found(release: Release) -> None:
    files = [path for path in sorted(release.directory.rglob("*")) if path.is_file()]
    assert len(files) == 14
    for path in files:
        data = path.read_bytes()
        for at in sorted({0, len(data) // 2, len(data) - 1}):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(IntegrityError):
                verify(release.directory)
        path.write_bytes(data)
    verify(release.directory)


def test_a_missing_an_extra_and_a_linked_file_are_found(tmp_path: Path, release: Release) -> None:
    extra = release.directory / "value" / "extra.json"
    extra.write_text("{}")
    with pytest.raises(IntegrityError, match=r"value/extra\.json .* not in the manifest"):
        verify(release.directory)
    extra.unlink()
    config = release.directory / "trigger" / "config.json"
    kept = tmp_path / "config.json"
    shutil.move(config, kept)
    with pytest.raises(IntegrityError, match=r"trigger/config\.json .* missing"):
        verify(release.directory)
    config.symlink_to(kept)
    with pytest.raises(IntegrityError, match="link"):
        verify(release.directory)


def test_a_release_under_another_name_or_without_manifest_is_refused(release: Release) -> None:
    renamed = release.directory.with_name("0" * 16)
    shutil.copytree(release.directory, renamed)
    with pytest.raises(IntegrityError, match="is of release"):
        verify(renamed)
    (release.directory / MANIFEST).unlink()
    with pytest.raises(IntegrityError, match="has no manifest"):
        verify(release.directory)


def test_a_manifest_that_says_the_same_in_other_bytes_is_refused(release: Release) -> None:
    path = release.directory / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    with pytest.raises(IntegrityError, match="canonical"):
        verify(release.directory)


@pytest.mark.parametrize("path", ["../x.json", "value/../x.json", "/value/x.json", "value//x.json", "value", "x.json"])
def test_paths_out_of_a_part_are_refused(path: str, release: Release) -> None:
    with pytest.raises(ValueError, match="not a file inside"):
        inside_part(path)
    manifest = release.directory / MANIFEST
    said = json.loads(manifest.read_bytes())
    said["files"][0]["path"] = path
    manifest.write_text(json.dumps(said, sort_keys=True, separators=(",", ":")))
    with pytest.raises(IntegrityError, match="files"):
        verify(release.directory)


def pickled(path: Path) -> None:
    np.savez(path / "keys.npz", keys=np.array([{"a": 1}], dtype=object))


BAD = {
    "a pickle": lambda path: (path / "model.pt").write_bytes(b"\x80\x04"),
    "a script": lambda path: (path / "model.py").write_text("print()"),
    "an array of objects": pickled,
    "no npz": lambda path: (path / "keys.npz").write_bytes(b"PK\x03\x04"),
    "a pickle named npz": lambda path: (path / "keys.npz").write_bytes(b"\x80\x04N."),
    "no safetensors": lambda path: (path / "model.safetensors").write_bytes(b"\xff" * 40),
    "no json": lambda path: (path / "config.json").write_text("{"),
    "no parquet": lambda path: (path / "items.parquet").write_bytes(b"{}"),
    "a link": lambda path: (path / "more.json").symlink_to("config.json"),
    "a linked directory": lambda path: (path / "more").symlink_to(path.parent),
    "a hidden file": lambda path: (path / ".config.json").write_text("{}"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_what_may_not_be_in_a_release_is_refused(what: str, tmp_path: Path, parts: dict[str, Path]) -> None:
    BAD[what](parts["memory"])
    with pytest.raises(DataRefused, match="memory cannot be released"):
        make_release(tmp_path / "root", parts)
    assert versions(tmp_path / "root") == []
    assert not (tmp_path / "root" / "releases" / ".building").exists()


def test_pictures_stay_behind(tmp_path: Path, parts: dict[str, Path], release: Release) -> None:
    (parts["value"] / "curves.png").write_bytes(b"\x89PNG")
    assert make_release(tmp_path / "root", parts).version == release.version


def test_an_empty_part_is_refused(tmp_path: Path, parts: dict[str, Path]) -> None:
    with pytest.raises(DataRefused, match="no value"):
        make_release(tmp_path / "root", {**parts, "value": tmp_path / "nowhere"})


@pytest.mark.parametrize(
    "changes",
    [{"evaluation": {"voc": float("nan")}}, {"parents": {"mother": "x"}}, {"features": {"fps": 10.0}}],
)
def test_what_cannot_be_described_is_refused(tmp_path: Path, parts: dict[str, Path], changes: dict[str, Any]) -> None:
    with pytest.raises(DataRefused, match="cannot be described"):
        make_release(tmp_path / "root", parts, **changes)


def test_a_kill_before_the_rename_leaves_no_release(
    tmp_path: Path, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*given: Any) -> None:
        raise Killed

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(Killed):
        make_release(tmp_path / "root", parts)
    assert versions(tmp_path / "root") == []
    monkeypatch.undo()
    assert make_release(tmp_path / "root", parts).version


@pytest.mark.parametrize("version", ["0" * 16, "../episodes", "", "0" * 15, "G" * 16])
def test_a_version_that_is_not_there_is_a_usage_error(tmp_path: Path, release: Release, version: str) -> None:
    with pytest.raises(UsageError, match="no release"):
        open_release(tmp_path / "root", version)


def test_a_version_is_compared_in_full(tmp_path: Path, release: Release) -> None:
    with pytest.raises(IntegrityError):
        open_release(tmp_path / "root", release.version[:16] + "0" * 48)
