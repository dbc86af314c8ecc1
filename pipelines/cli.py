"""The command line: `regrasp VERB`. Exit codes are those of `episodes.errors`; 1 is unexpected, 130 a Ctrl-C or `kill`,
and 141 that nobody reads what is printed any more (`| head`): 128 + SIGPIPE, as of a program that the signal ends.

Heavy imports are inside the verbs, so that `regrasp --help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated

import tyro
from tyro.conf import CascadeSubcommandArgs, FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from episodes.errors import RegraspError
from pipelines.commands.audit import Audit
from pipelines.commands.benchmark import Benchmark
from pipelines.commands.data import Import, Inspect
from pipelines.commands.doctor import Doctor
from pipelines.commands.export import Export
from pipelines.commands.graph import App, Materialize, Ui
from pipelines.commands.label import Label
from pipelines.commands.release import Release
from pipelines.commands.robot import Collect, Demo, Deploy
from pipelines.commands.ursim import UrSim
from pipelines.resources import workspace_root

UNEXPECTED, INTERRUPTED, UNREAD = 1, 130, 141

Verb = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Collect, subcommand("collect")]
    | Annotated[Import, subcommand("import")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Inspect, subcommand("inspect")]
    | Annotated[Label, subcommand("label")]
    | Annotated[Materialize, subcommand("materialize")]
    | Annotated[Ui, subcommand("ui")]
    | Annotated[App, subcommand("app")]
    | Annotated[Benchmark, subcommand("benchmark")]
    | Annotated[Audit, subcommand("audit")]
    | Annotated[Release, subcommand("release")]
    | Annotated[Deploy, subcommand("deploy")]
    | Annotated[UrSim, subcommand("ursim")]
    | Annotated[Doctor, subcommand("doctor")]
)


@dataclass(frozen=True, kw_only=True)
class Regrasp:
    """Data pipeline and labeling workbench for human-in-the-loop robot RL."""

    verb: Verb
    root: Path = field(default_factory=workspace_root)
    """the workspace; REGRASP_ROOT sets it for all commands"""
    debug: bool = False
    """show where an error comes from"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what goes wrong is one sentence on stderr."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        print(end="", flush=True)  # here, not when the interpreter ends, which would complain
    except BrokenPipeError:
        _print_nowhere()
        return UNREAD
    return code


def _run(arguments: list[str]) -> int:
    try:
        given = tyro.cli(
            Regrasp,
            prog="regrasp",
            args=arguments,
            config=(CascadeSubcommandArgs, OmitSubcommandPrefixes, OmitArgPrefixes, FlagCreatePairsOff),
        )
    except SystemExit as stop:  # tyro's help and usage errors
        return int(stop.code or 0)
    try:
        with _a_kill_is_a_ctrl_c():
            return given.verb.run(given.root)
    except BrokenPipeError:
        raise
    except SystemExit as stop:  # what rich's console makes of a broken pipe
        raise stop.__context__ or stop from None
    except RegraspError as error:
        print(traceback.format_exc() if given.debug else error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        told = f"unexpected: {error or type(error).__name__}; run it again with --debug to see where"
        print(traceback.format_exc() if given.debug else told, file=sys.stderr)
        return UNEXPECTED


@contextmanager
def _a_kill_is_a_ctrl_c() -> Iterator[None]:
    """In the block a SIGTERM (`kill`, a shutdown) does what Ctrl-C does: robots stop, processes beside us end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGTERM, _pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _pressed(number: int, frame: FrameType | None) -> None:
    """Ctrl-C, also where who started us has it ignored, as a shell does with what runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _print_nowhere() -> None:
    """Send what is still to be printed nowhere: the interpreter flushes it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
