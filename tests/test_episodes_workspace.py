"""The workspace: made once, refused when newer, files whole or absent, one writer at a time."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from episodes.errors import DataRefused, UsageError
from episodes.slug import check_slug, is_slug, slugify
from episodes.workspace import Workspace, atomic_write, workspace_lock, writer_lock


def test_open_creates_once_and_reopens(tmp_path: Path) -> None:
    made = Workspace.open(tmp_path / "w", create=True)
    assert json.loads((made.root / "workspace.json").read_text()) == {"schema_version": 1}
    assert Workspace.open(tmp_path / "w") == made


def test_open_refuses_what_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="regrasp demo"):
        Workspace.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        Workspace.open(tmp_path / "file", create=True)


@pytest.mark.parametrize(
    ("text", "says"), [('{"schema_version": 2}', "newer Regrasp"), ("{", "damaged"), ("[]", "damaged")]
)
def test_open_refuses_newer_and_damaged(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "workspace.json").write_text(text)
    with pytest.raises(DataRefused, match=says):
        Workspace.open(tmp_path, create=True)


def test_atomic_write_replaces_whole_files_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    atomic_write(path, b"one")

    def refuse(partial: Path) -> None:
        assert partial.read_bytes() == b"two"
        raise DataRefused("not right")

    with pytest.raises(DataRefused, match="not right"):
        atomic_write(path, b"two", check=refuse)
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_second_writer_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with (
        writer_lock(tmp_path / "lock"),
        pytest.raises(DataRefused, match=f"process {os.getpid()}; wait"),
        writer_lock(tmp_path / "lock"),
    ):
        pass
    with writer_lock(tmp_path / "lock"):
        pass


def test_a_command_that_is_alone_keeps_the_writers_out_and_they_keep_it_out(tmp_path: Path) -> None:
    root = Workspace.open(tmp_path / "w", create=True).root
    demo = f"{root} is in use by `regrasp demo` \\(process {os.getpid()}\\); wait until it ends, or end it"
    with workspace_lock(root, alone="`regrasp demo`"):
        for other in ("", "`regrasp demo`"):
            with pytest.raises(DataRefused, match=demo), workspace_lock(root, alone=other):
                pass
    with (
        workspace_lock(root),
        workspace_lock(root),
        pytest.raises(DataRefused, match="is in use by another command that writes"),
        workspace_lock(root, alone="`regrasp demo`"),
    ):
        pass
    with workspace_lock(root, alone="`regrasp demo`"), workspace_lock(tmp_path / "none yet"):
        pass
    assert not (tmp_path / "none yet").exists()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from episodes.workspace import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path / "lock"], cwd=Path(__file__).parent.parent)
    assert killed.returncode == -signal.SIGKILL
    with writer_lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("name", ["..", "a/b", "A", "a b", "", "é", "x" * 129, "a.b"])
def test_names_that_are_no_slugs(name: str) -> None:
    assert not is_slug(name)
    with pytest.raises(UsageError, match="is not a name"):
        check_slug("session", name)


def test_slugify_gives_slugs() -> None:
    assert slugify("Put Carrot, on/plate!") == "put_carrot_on_plate"
    assert slugify("../..") == "unnamed"
    assert is_slug(slugify("é" * 500 + "a" * 500))


def test_a_file_too_large_for_the_disk_is_refused(tmp_path: Path) -> None:
    """The kernel itself refuses the write half-way (a file size limit), as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(DataRefused, match="was not written"):
            atomic_write(tmp_path / "large", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
