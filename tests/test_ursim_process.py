"""The simulated controller as a process: the genuine client drives it, and a client of our own checks the wire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ursim_client import LineClient, RtdeClient, running

from episodes.errors import DeviceError, SafetyStop, UsageError
from robot_io.ur.driver import UrArm
from robot_io.ur.link import LinkConfig
from robot_io.ur.messages import Phase
from robot_io.ur.worker import WorkerConfig
from robot_io.ursim.fault_client import inject
from robot_io.ursim.link import LinkFault
from robot_io.ursim.server import Network
from robot_io.ursim.services import LineService

GENUINE = Path(__file__).with_name("ursim_genuine.py")


def address(number: int) -> str:
    """A loopback address of this test process alone."""
    own = os.getpid()
    return f"127.{1 + own % 250}.{1 + own // 250 % 250}.{number}"


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, str]]:
    """One controller of each PolyScope, side by side; the newer one in faster time."""
    with ExitStack() as stack:
        found = {version: address(number) for number, version in enumerate(("5.12", "5.23"), start=1)}
        for version, host in found.items():
            speed = "1" if version == "5.12" else "3"
            stack.enter_context(running(host, "--polyscope", version, "--speed", speed))
        yield found


@pytest.fixture
def host(hosts: dict[str, str]) -> Iterator[str]:
    """The older one, every fault cleared afterwards."""
    yield hosts["5.12"]
    inject(hosts["5.12"], "clear")


@pytest.fixture
def client(host: str) -> Iterator[RtdeClient]:
    with closing(RtdeClient(host)) as made:
        yield made


def genuine(host: str, *steps: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(GENUINE), host, *steps], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


LOOKS = {
    "remote": True,
    "robotmode": "Robotmode: RUNNING",
    "modes": [7, 1, 2],
    "joint_modes": [253] * 6,
    "script_runs": True,
    "payload": 0.92,
}


def test_the_genuine_client_drives_it(hosts: dict[str, str]) -> None:
    told = genuine(hosts["5.12"], "looks", "moves", "asks", "streams")
    assert told["looks"] == {"version": "5.12.6.1102099", **LOOKS}
    assert told["moves"]["done"] == [True, True, True]
    assert max(told["moves"][name] for name in ("off_joints", "off_pose", "off_path")) < 1e-3
    assert told["asks"].pop("inverse_off") < 1e-3
    assert told["asks"].pop("tcp_off") < 1e-9
    assert told["asks"].pop("seen") == [0.5, True, 1.0]
    assert all(told["asks"].values()), told["asks"]
    assert told["streams"]["all"]
    assert told["streams"]["servoed"] == pytest.approx(0.02, abs=2e-3)
    assert told["streams"]["lifted"] > 0.005


def test_the_genuine_client_knows_the_newer_one_and_sees_its_stop(hosts: dict[str, str]) -> None:
    told = genuine(hosts["5.23"], "looks", "stops")
    mended(hosts["5.23"])
    assert told["looks"] == {"version": "5.23.0.1121204", **LOOKS}
    assert told["stops"]["stopped"]
    assert not told["stops"]["servo"]
    assert "until 5s after occurrence" in told["stops"]["unlock"]


def test_the_wire_says_what_the_protocol_says(client: RtdeClient) -> None:
    assert client.ask(b"V", b"\x00\x02") == b"\x01"
    assert client.ask(b"V", b"\x00\x07") == b"\x00"
    assert client.ask(b"v")[:8] == bytes([0, 0, 0, 5, 0, 0, 0, 12])
    assert client.outputs(["timestamp", "actual_q", "robot_mode", "safety_status_bits", "payload_cog"]) == (
        "DOUBLE,VECTOR6D,INT32,UINT32,VECTOR3D"
    )
    assert client.start()
    state = client.state()
    assert state["robot_mode"] == 7
    assert state["safety_status_bits"] == 1
    assert len(state["actual_q"]) == 6


@pytest.mark.parametrize(("hertz", "period_s"), [(500.0, 0.002), (125.0, 0.008), (10.0, 0.1)])
def test_data_comes_at_the_rate_that_was_asked_for(client: RtdeClient, hertz: float, period_s: float) -> None:
    client.outputs(["timestamp"], hertz)
    client.start()
    times = [client.state()["timestamp"] for _ in range(6)]
    assert np.allclose(np.diff(times), period_s)


def test_what_is_not_there_is_not_found_and_not_started(client: RtdeClient) -> None:
    assert client.outputs(["timestamp", "colour", "actual_current_as_torque"]) == "DOUBLE,NOT_FOUND,NOT_FOUND"
    assert not client.start()
    assert client.inputs(["input_int_register_48"]) == (0, "NOT_FOUND")


def test_an_input_belongs_to_one_client_until_it_leaves(host: str, client: RtdeClient) -> None:
    assert client.inputs(["input_int_register_30"]) == (1, "INT32")
    assert client.inputs(["input_int_register_30", "input_double_register_30"]) == (2, "INT32,DOUBLE")
    with closing(RtdeClient(host)) as second:
        assert second.inputs(["input_double_register_31", "input_int_register_30"]) == (0, "DOUBLE,IN_USE")
        client.close()
        assert any(second.inputs(["input_int_register_30"])[0] for _ in range(100))


def test_bytes_that_are_no_package_end_only_their_connection(host: str, client: RtdeClient) -> None:
    with closing(RtdeClient(host)) as broken:
        broken.socket.sendall(b"\x00\x01\x02 nothing of this is RTDE")
        with pytest.raises(ConnectionError):
            broken.read()
    assert client.ask(b"V", b"\x00\x02") == b"\x01"


def test_requests_may_arrive_byte_by_byte(client: RtdeClient) -> None:
    for byte in b"\x00\x05V\x00\x02":
        client.socket.sendall(bytes([byte]))
    assert client.read() == (b"V", b"\x01")


def started(host: str, names: list[str], hertz: float = 500.0) -> RtdeClient:
    client = RtdeClient(host)
    client.outputs(["timestamp", *names], hertz)
    assert client.start()
    client.state()
    return client


STATES = {
    "safeguard": ("safety_mode", 5),
    "emergency_stop": ("safety_mode", 7),
    "power_off": ("robot_mode", 3),
    "slider 0.25": ("target_speed_fraction", 0.25),
    "spoil actual_TCP_force 99": ("actual_TCP_force", [99.0]),
    "spoil speed_scaling 7": ("speed_scaling", 7.0),
}
"""fault -> the variable it shows in, and what it shows"""


@pytest.mark.parametrize("fault", STATES)
def test_a_fault_of_the_robot_is_seen(hosts: dict[str, str], fault: str) -> None:
    name, wanted = STATES[fault]
    with closing(started(hosts["5.23"], [name])) as client:
        assert inject(hosts["5.23"], fault) == f"injected: {fault}"
        client.until(lambda state: (state[name][:1] if isinstance(wanted, list) else state[name]) == wanted)
    mended(hosts["5.23"])


def test_time_stands_and_jumps_while_data_comes(host: str) -> None:
    with closing(started(host, [])) as client:
        inject(host, "frozen_time")
        assert any(client.state() == client.state() for _ in range(500))
        assert client.state() == client.state()
        inject(host, "clear")
        stood = client.state()
        last = client.until(lambda state: state != stood)
        inject(host, "time_jump -2")
        assert any(client.state()["timestamp"] < last["timestamp"] for _ in range(1000))


@pytest.mark.parametrize("fault", ["text_flood 5", "segments 7", "late 0.02", "silence 0.1"])
def test_data_comes_whole_through_a_bad_link(host: str, fault: str) -> None:
    with closing(started(host, ["actual_q"])) as client:
        inject(host, fault)
        times = [client.state()["timestamp"] for _ in range(20)]
        assert times == sorted(times)


@pytest.mark.parametrize(
    ("fault", "size"), [("undersized 8", 3 + 1), ("oversized 5", 3 + 1 + 8 + 5), ("recipe_shift 3", 3 + 1 + 8)]
)
def test_data_of_a_wrong_size_or_recipe(host: str, fault: str, size: int) -> None:
    with closing(started(host, [])) as client:
        inject(host, fault)
        recipe = 4 if fault.startswith("recipe") else 1
        assert any(
            3 + len(payload) == size and payload[0] == recipe for _, payload in (client.read() for _ in range(500))
        )


@pytest.mark.parametrize(
    ("fault", "request_", "answer"),
    [
        ("wrong_version", (b"V", b"\x00\x02"), b"\x00"),
        ("in_use", (b"I", b"input_int_register_0"), b"\x00IN_USE"),
        ("not_found timestamp", (b"O", bytes(8) + b"timestamp,actual_q"), b"\x00NOT_FOUND,VECTOR6D"),
    ],
)
def test_a_request_is_refused(host: str, fault: str, request_: tuple[bytes, bytes], answer: bytes) -> None:
    inject(host, fault)
    with closing(RtdeClient(host)) as client:
        assert client.ask(*request_) == answer


def test_a_start_is_refused(host: str) -> None:
    inject(host, "no_start")
    with closing(RtdeClient(host)) as client:
        client.outputs(["timestamp"])
        assert not client.start()


def test_the_dashboard_speaks_garbled(host: str) -> None:
    inject(host, "dashboard_garbled")
    with closing(LineClient(host, 29999)) as dashboard:
        assert dashboard.line().startswith("Connected")
        assert dashboard.ask("robotmode") == "GNINNUR :edomtoboR"


def test_a_script_in_local_control_does_not_start(host: str) -> None:
    with closing(LineClient(host, 29999)) as dashboard, closing(LineClient(host, 30003)) as scripts:
        dashboard.line()
        dashboard.ask("stop")  # what a client of before left running
        inject(host, "local_control")
        assert dashboard.ask("is in remote control") == "false"
        scripts.socket.sendall(b"def anything():\n  popup(1)\nend\n")
        assert dashboard.ask("running") == "Program running: false"


def mended(host: str) -> None:
    """Out of every state a fault left, as a person would go."""
    for line in ("clear", "safeguard_free", "emergency_release", "slider 1"):
        inject(host, line)
    with closing(LineClient(host, 29999)) as dashboard:
        dashboard.line()
        for line in ("restart safety", "unlock protective stop", "brake release"):
            dashboard.ask(line)
        with closing(started(host, ["robot_mode", "safety_mode"], 20.0)) as client:
            while client.state()["safety_mode"] == 3:
                dashboard.ask("unlock protective stop")
            client.until(lambda state: state["robot_mode"] == 7 and state["safety_mode"] == 1)


@pytest.mark.parametrize("fault", ["rst", "fin", "restart 0.2"])
def test_a_link_that_ends_is_there_again(host: str, fault: str) -> None:
    with closing(started(host, [])) as client:
        inject(host, fault)
        with pytest.raises(OSError, match=r"reset|ended"):
            client.until(lambda state: False)
    for _ in range(100_000):
        try:
            again = started(host, [])
            break
        except ConnectionRefusedError:
            continue
    again.close()


def test_a_link_that_is_silent_goes_on_where_it_is(host: str) -> None:
    with closing(started(host, [])) as client:
        inject(host, "half_open")
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.until(lambda state: False, limit_s=1e9)
        inject(host, "clear")
        client.socket.settimeout(20.0)
        assert client.state()["timestamp"] > 0.0


def test_the_cell_is_seen_and_reset_beside_the_controller(host: str) -> None:
    with closing(LineClient(host, 30010)) as cell:
        state = cell.tell("reset 3")
        assert state["task"] == "tube_insertion"
        assert state["phi"] < 0.0
        assert state["outcome"] == "unknown"
        head = cell.tell("frame third 32")
        image = np.frombuffer(cell.bytes(head["bytes"]), np.uint8).reshape(head["shape"])
        assert image.shape == (32, 32, 3)
        assert image.std() > 1.0
        inject(host, "camera_black")
        head = cell.tell("frame wrist 32")
        assert not any(cell.bytes(head["bytes"]))
        inject(host, "camera_gone")
        assert "is gone" in cell.tell("frame third 32")["error"]
        assert len(cell.tell("expert 0.45 0 0.2 0 0 0")["action"]) == 7
        assert "no frame" in cell.tell("frame fourth 32")["error"]
        assert "does not say enough" in cell.tell("reset")["error"]
        assert "there is no simulated task" in cell.tell("task make_coffee")["error"]


def test_a_second_controller_on_the_same_address_is_refused(host: str) -> None:
    second = Network(host, {30004: lambda: LineService(lambda line: b"")}, {30004: LinkFault()}, lambda: 0.0)
    with pytest.raises(DeviceError, match="is another controller running there"):
        second.listen()


def test_a_fault_that_is_none_is_said(host: str) -> None:
    with pytest.raises(UsageError, match="there is no fault"):
        inject(host, "gremlins")
    with pytest.raises(UsageError, match="type silence SECONDS"):
        inject(host, "silence long")
    assert "protective_stop" in inject(host, "list")
    with pytest.raises(DeviceError, match="no simulated controller answers"):
        inject(address(99), "rst")


def wired(host: str) -> WorkerConfig:
    return WorkerConfig(link=LinkConfig(host=host))


def again(step: Callable[[], None], until: Callable[[], bool] = lambda: False) -> None:
    """Take a step at a time until something is so, or until the step raises."""
    for _ in range(10_000):
        step()
        if until():
            return
        time.sleep(0.005)
    raise AssertionError("it never came to that")


def test_our_driver_moves_the_arm_and_ends_with_the_reason_when_it_stops(hosts: dict[str, str]) -> None:
    host = hosts["5.23"]
    with UrArm(wired(host)) as arm:
        target = arm.state().pose + np.array([0.02, -0.01, 0.03, 0.0, 0.0, 0.05])
        again(lambda: arm.follow(target), lambda: np.abs(arm.state().commanded - target).max() < 3e-3)
        assert arm.state().phase is Phase.FOLLOWING
        count, rows = arm.states_since(0)
        assert len(rows) == count
        inject(host, "emergency_stop")
        with pytest.raises(SafetyStop, match=r"stopped for safety \(safety mode 7\); look at the arm"):
            again(lambda: arm.follow(target))
    with pytest.raises(DeviceError, match="make it ready at its pendant"), UrArm(wired(host)):
        pass
    mended(host)


def test_a_killed_worker_is_one_sentence_and_nothing_is_left(hosts: dict[str, str]) -> None:
    with UrArm(wired(hosts["5.23"])) as arm:
        os.kill(arm.worker_pid, signal.SIGKILL)
        with pytest.raises(SafetyStop, match="killed by SIGKILL"):
            again(arm.hold)
    assert not Path(f"/proc/{arm.worker_pid}").exists()


def test_an_arm_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(DeviceError, match="cannot be controlled"), UrArm(wired(address(98))):
        pass
