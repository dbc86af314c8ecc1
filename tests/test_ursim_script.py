"""Programs out of a byte stream, and what is read out of the client's own; the dashboard's words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ursim_samples import HOME, Bench, FakeArm

from robot_io.ursim.controller import Controller
from robot_io.ursim.dashboard import Dashboard
from robot_io.ursim.modes import Runtime
from robot_io.ursim.script import Programs

CONTROL = """def rtde_control():
    global reg_offset_float = # float register offset
24    global reg_offset_int = # int register offset
24    global force_mode_type = 2
    def exec_move_path():
        textmsg("exec_move_path")
        # inject move path
        movej([0.1,0.2,0.3,0.4,0.5,0.6], a=1.4, v=1.05, r=0)
        movel(p[0.4,-0.1,0.2,0,3.14,0], a=0.5, v=0.25, r=0.02)
    end
    def rtde_cmd():
    end
    def process_cmd(cmd):
        if cmd == 1:
        end
    end
end
"""
OTHER = 'def hello():\n  textmsg("end")\nend\n'


@given(st.lists(st.sampled_from([CONTROL, OTHER, "set_tool_voltage(24)\n"]), max_size=5), st.integers(1, 97))
def test_programs_are_the_same_however_the_stream_is_cut(texts: list[str], size: int) -> None:
    stream, reader, found = "".join(texts).encode(), Programs(), []
    for start in range(0, len(stream), size):
        found += [script.is_control for script in reader.feed(stream[start : start + size])]
    assert found == [text is CONTROL or text == CONTROL for text in texts]


def test_the_register_offset_and_the_path_are_read_out_of_it() -> None:
    (script,) = Programs().feed(CONTROL.encode())
    assert script.name == "rtde_control"
    assert script.offset == 24
    joint, tool = script.path
    assert (joint.linear, joint.is_pose, joint.acceleration, joint.speed) == (False, False, 1.4, 1.05)
    assert np.allclose(joint.goal, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (tool.linear, tool.is_pose) == (True, True)


def test_another_program_runs_and_ends() -> None:
    (script,) = Programs().feed(OTHER.encode())
    bench = Bench(script=script)
    bench.upload()
    assert bench.robot.runtime is Runtime.STOPPED
    assert any("'hello' is not the control script" in line for line in bench.robot.log)


def test_a_path_is_gone_through() -> None:
    numbers = ",".join(str(q) for q in HOME + 0.1)
    text = CONTROL.replace("0.1,0.2,0.3,0.4,0.5,0.6", numbers).replace("movel(p[0.4,-0.1,0.2,0,3.14,0], a=0.5", "#")
    (script,) = Programs().feed(text.encode())
    bench = Bench(offset=24, script=script)
    bench.upload()
    assert bench.call(45, integers=[0])
    assert np.allclose(bench.arm.q, HOME + 0.1)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("robotmode", "Robotmode: RUNNING"),
        ("safetystatus", "Safetystatus: NORMAL"),
        ("running", "Program running: false"),
        ("programState", "STOPPED empty.urp"),
        ("play", "Failed to execute: play"),
        ("pause", "Failed to execute: pause"),
        ("stop", "Stopped"),
        ("load x.urp", "Loading program: x.urp"),
        ("unlock protective stop", "Protective stop releasing"),
        ("make coffee", "could not understand: 'make coffee'"),
    ],
)
def test_the_dashboard_answers_in_the_words_that_clients_look_for(line: str, answer: str) -> None:
    assert Dashboard(Controller(FakeArm())).answer(line) == answer


def test_the_dashboard_refuses_to_unlock_too_early() -> None:
    robot = Controller(FakeArm())
    dashboard = Dashboard(robot)
    robot.protective_stop("injected")
    assert dashboard.answer("unlock protective stop").startswith("Cannot unlock protective stop until 5s")
    assert dashboard.answer("safetymode") == "Safetymode: PROTECTIVE_STOP"
