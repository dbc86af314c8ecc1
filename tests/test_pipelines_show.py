"""The bars that say how far a command is: which work, how much of it, and nothing left of them at the end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.commands.show import bars, count_bar


def test_a_bar_says_what_is_counted_and_is_gone_at_the_end() -> None:
    shown = io.StringIO()
    with count_bar("export", Console(file=shown, force_terminal=True, width=80)) as on_count:
        on_count(3, 7)
    drawn = shown.getvalue()
    assert "export" in drawn
    assert "3/7" in drawn
    assert drawn.endswith("\x1b[2K"), "its line was erased"


def test_bars_keep_off_stdout_and_where_they_are_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with count_bar("export") as on_count:
        on_count(1, 1)
    assert capsys.readouterr() == ("", ""), "no terminal, so nothing to draw on"
    with bars(show=False) as progress:
        progress.add_task("never", total=1)
    assert capsys.readouterr() == ("", "")
