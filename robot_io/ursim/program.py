"""The control script as a generator: one `next` is one 2 ms cycle of its main loop.

In each cycle it reads the command. A real-time command is executed and `ready` said; another one is executed once,
`done` said when it is over, and `ready` again when the client has cleared the register.
"""

from __future__ import annotations

from collections.abc import Iterator

from robot_io.ursim.commands import END, ONCE, REALTIME, REALTIME_NUMBERS
from robot_io.ursim.controller import Controller
from robot_io.ursim.mailbox import Mailbox, State
from robot_io.ursim.motion import ScriptError
from robot_io.ursim.running import Running
from robot_io.ursim.script import Script


def program(robot: Controller, script: Script) -> Iterator[None]:
    """What an uploaded program does."""
    return control_program(robot, script) if script.is_control else _unread(robot, script)


def control_program(robot: Controller, script: Script) -> Iterator[None]:
    """The main loop, until the client ends it. `ScriptError` where a command cannot be done."""
    mail = Mailbox(robot.registers, script.offset)
    run = Running(robot, mail, script)
    mail.async_ends()
    mail.say(State.READY)
    executed = False
    while mail.command != END:
        _finish_async(run)
        command = mail.command
        if command in REALTIME_NUMBERS:
            _real_time(run, command)
        elif command == 0:
            executed = False
            mail.say(State.READY)
        elif not executed:
            yield from _once(run, command)
            executed = True
        yield


def _unread(robot: Controller, script: Script) -> Iterator[None]:
    robot.say(f"program {script.name!r} is not the control script: it ran and did nothing")
    yield


def _real_time(run: Running, command: int) -> None:
    if command not in REALTIME:
        raise ScriptError(f"command {command} is not modelled")
    REALTIME[command](run)
    run.mail.say(State.READY)


def _once(run: Running, command: int) -> Iterator[None]:
    if command not in ONCE:
        raise ScriptError(f"command {command} is not modelled")
    motion = ONCE[command](run)
    while motion is not None and not motion.done:
        yield
    if motion is not None:
        run.drive.release()
    run.mail.say(State.DONE)


def _finish_async(run: Running) -> None:
    motion = run.drive.motion
    if run.mail.async_runs and (motion is None or motion.done):
        run.drive.release()
        run.mail.async_ends()
