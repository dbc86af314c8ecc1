"""Nobody reads what a command prints, as after `| head`: it ends without a word, as a program that SIGPIPE ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import make_episode

from episodes.store import EpisodeStore
from pipelines.cli import UNREAD

REPOSITORY = Path(__file__).parent.parent
DEMO = "import sys; from pipelines import cli, demo; demo.Demo.run = lambda self: self.console.print('told')"


def unread(*command: str, stderr: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run Python with an output that nobody will ever read."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, *command], cwd=REPOSITORY, stdout=writer, stderr=stderr or writer, text=True
        )
    finally:
        os.close(writer)


@pytest.fixture
def root(tmp_path: Path) -> str:
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    return str(tmp_path)


@pytest.mark.parametrize("arguments", [["--help"], ["inspect"], ["inspect", "--json"], ["audit", "log"]])
def test_a_command_that_nobody_reads_ends_without_a_word(root: str, arguments: list[str]) -> None:
    done = unread("-m", "pipelines", *arguments, "--root", root)
    assert (done.returncode, done.stderr) == (UNREAD, "")


def test_neither_does_it_complain_where_nobody_reads_its_complaint(root: str) -> None:
    assert unread("-m", "pipelines", "inspect", "nonsense", "--root", root, stderr=None).returncode == UNREAD


def test_the_demos_console_is_no_exception(tmp_path: Path) -> None:
    done = unread("-c", f"{DEMO}; sys.exit(cli.main(['demo', '--root', {str(tmp_path)!r}]))")
    assert (done.returncode, done.stderr) == (UNREAD, "")
