"""Processes beside the command: a Ctrl-C does not reach them, and the command's flag ends them between two steps; if it
is killed, which sets no flag, they end too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from conftest import REPOSITORY

from models.processes import Processes, heed_stop

COMMAND = """
import sys
from pathlib import Path
from models.processes import Processes
from test_models_processes import work
if __name__ == "__main__":
    with Processes(2) as processes:
        idle, running = processes.start(work, [Path("done"), Path(sys.argv[1])])
"""
PATIENCE_S = 30


def work(told: Path) -> str:
    """Says its process, then goes on until it is stopped; named `done`, it has nothing to do."""
    if told.name == "done":
        return str(os.getpid())
    told.write_text(str(os.getpid()))
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            heed_stop()
            time.sleep(0.01)
        return "never stopped"
    except KeyboardInterrupt:
        told.with_name("heeded").touch()
        raise


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


def test_outside_of_them_heeding_a_stop_goes_on() -> None:
    heed_stop()  # it says nothing: what fails here is that it raises, as it does in a process that was stopped


def test_when_the_command_is_killed_the_idle_end_and_those_at_work_heed_it_first(tmp_path: Path) -> None:
    script, told = tmp_path / "command.py", tmp_path / "told"
    script.write_text(COMMAND)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests")))}
    program = [sys.executable, script, told]
    command = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_S
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    command.kill()
    try:
        command.communicate(timeout=PATIENCE_S)  # until nobody holds its stdout any more, which the processes inherit
    finally:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
    assert (tmp_path / "heeded").exists()
