"""Processes beside the command: a Ctrl-C does not reach them, and their command's flag ends them between two steps."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from models.processes import Processes, heed_stop


def work(told: Path) -> str:
    """Says its process, then goes on until it is stopped; named `done`, it has nothing to do."""
    if told.name == "done":
        return str(os.getpid())
    told.write_text(str(os.getpid()))
    while True:
        heed_stop()
        time.sleep(0.01)


def test_a_ctrl_c_does_not_reach_them_and_the_flag_ends_what_runs_and_what_waits(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with suppress(KeyboardInterrupt), Processes(1) as processes:
        idle = int(processes.start(work, [Path("done")])[0].result())
        os.kill(idle, signal.SIGINT)
        running, waiting = processes.start(work, [told, tmp_path / "never"])
        while not told.exists():
            time.sleep(0.01)
        assert int(told.read_text()) == idle
        os.kill(idle, signal.SIGINT)
        assert not running.done()
        raise KeyboardInterrupt
    assert isinstance(running.exception(), KeyboardInterrupt)
    assert waiting.cancelled() or isinstance(waiting.exception(), KeyboardInterrupt)


def test_outside_of_them_there_is_nothing_to_heed() -> None:
    heed_stop()
