"""The person's devices: a SpaceMouse through the genuine pyspacemouse, the keys of a terminal, and who drives when."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from hid_stand_in import LEFT, RIGHT, STILL, FakeHid
from hypothesis import given
from hypothesis import strategies as st
from robot_fakes import POLICY_ACTION, FakePolicy, FakeRecorder, FakeRobot, fake_spec

from episodes.errors import DeviceError, SafetyStop
from episodes.record import ActionSource, Outcome
from robot_io.loop import run_episode
from robot_io.protocols import EpisodeEnd, HumanInput
from robot_io.teleop.hand import Hand, motion
from robot_io.teleop.keyboard import MOVES, Keyboard
from robot_io.teleop.operator import Operator, review
from robot_io.teleop.person import Person
from robot_io.teleop.spacemouse import CHATTER_S, STALE_S, SpaceMouse
from robot_io.teleop.terminal import Terminal

POLICY, HUMAN, HOLD = ActionSource.POLICY, ActionSource.HUMAN, ActionSource.HOLD
RIGHTWARD = (350, 0, 0, 0, 0, 0)


def until(true: Callable[[], bool]) -> None:
    """Wait for the reading thread."""
    for _ in range(5000):
        if true():
            return
        time.sleep(0.002)
    raise AssertionError("it never came")


class Wrist:
    """A clock that stands until it is moved."""

    s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def hid(monkeypatch: pytest.MonkeyPatch) -> FakeHid:
    import pyspacemouse.api

    hid = FakeHid()
    monkeypatch.setattr(pyspacemouse.api, "Enumeration", lambda: hid)
    return hid


@pytest.fixture
def clock() -> Wrist:
    return Wrist()


@pytest.fixture
def mouse(hid: FakeHid, clock: Wrist) -> Iterator[SpaceMouse]:
    with closing(SpaceMouse(now=clock)) as mouse:
        yield mouse


# --- the SpaceMouse --------------------------------------------------------------------------------------------------


def test_the_axes_are_the_persons_with_z_up(hid: FakeHid, mouse: SpaceMouse) -> None:
    hid.push((350, -175, 35, 100, 200, -300), LEFT)
    until(lambda: mouse.read().held)
    hand = mouse.read()
    assert np.allclose(hand.axes, [1.0, 0.5, -0.1, 100 / 350, -200 / 350, 300 / 350])
    assert np.allclose(hand.raw, [*hand.axes, 1.0, 0.0])


def test_the_newest_of_many_queued_reports_counts(hid: FakeHid, mouse: SpaceMouse) -> None:
    for x in range(64):
        hid.push((x, 0, 0, 0, 0, 0), LEFT)
    until(lambda: not hid.queue and mouse.read().axes[0] != 0.0)
    assert mouse.read().axes[0] == 63 / 350


def test_a_deflected_puck_that_is_silent_is_let_go(hid: FakeHid, mouse: SpaceMouse, clock: Wrist) -> None:
    hid.push(RIGHTWARD, LEFT)
    until(lambda: mouse.read().held)
    clock.s += 2 * STALE_S
    hand = mouse.read()
    assert not hand.held
    assert not hand.axes.any()


def test_a_puck_at_rest_may_be_silent_while_the_button_is_held(hid: FakeHid, mouse: SpaceMouse, clock: Wrist) -> None:
    hid.push((3, 0, 0, 0, 0, 0), LEFT)
    until(lambda: mouse.read().held)
    clock.s += 60.0
    assert mouse.read().held


def test_a_press_between_two_steps_counts_once_also_where_it_bounces(
    hid: FakeHid, mouse: SpaceMouse, clock: Wrist
) -> None:
    for buttons in (RIGHT, 0, RIGHT, 0):
        hid.push(STILL, buttons)
    until(lambda: not hid.queue and mouse.read().presses > 0)
    clock.s += 2 * CHATTER_S
    hid.push(STILL, RIGHT)
    until(lambda: mouse.read().pressed)
    assert mouse.read().presses == 2


def test_an_unplugged_one_is_a_stop(hid: FakeHid, mouse: SpaceMouse) -> None:
    hid.unplugged = True
    with pytest.raises(SafetyStop, match="SpaceMouse is gone"):
        until(lambda: mouse.read().held)


def test_what_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch, hid: FakeHid) -> None:
    import pyspacemouse.api

    def nothing() -> FakeHid:
        raise AttributeError("function/symbol 'hid_enumerate' not found")

    monkeypatch.setattr(FakeHid, "product_id", 0)
    with pytest.raises(DeviceError, match="no SpaceMouse is connected"):
        SpaceMouse()
    monkeypatch.setattr(pyspacemouse.api, "Enumeration", nothing)
    with pytest.raises(DeviceError, match="apt-get install libhidapi-hidraw0"):
        SpaceMouse()


def test_one_that_may_not_be_opened_says_so(monkeypatch: pytest.MonkeyPatch, hid: FakeHid) -> None:
    from easyhid import HIDException

    def forbidden(self: FakeHid) -> None:
        raise HIDException("Failed to open device")

    monkeypatch.setattr(FakeHid, "open", forbidden)
    with pytest.raises(DeviceError, match="/dev/hidraw"):
        SpaceMouse()


def test_one_without_buttons_has_no_deadman(monkeypatch: pytest.MonkeyPatch, hid: FakeHid) -> None:
    monkeypatch.setattr(FakeHid, "product_id", 0xC641)
    with pytest.raises(DeviceError, match="no button for a deadman"):
        SpaceMouse()
    assert hid.closed


# --- from axes to motion ---------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_motion_is_odd_bounded_and_still_within_the_deadband(axes: list[float]) -> None:
    given_axes = np.array(axes)
    moved = motion(given_axes)
    assert np.abs(moved).max() <= 1.0
    assert np.allclose(motion(-given_axes), -moved)
    assert not motion(np.clip(given_axes, -0.08, 0.08)).any()


def test_away_from_the_person_is_towards_the_robots_base() -> None:
    assert np.allclose(motion(np.array([0, 1, 0, 0, 0, 0])), [-1, 0, 0, 0, 0, 0])
    assert np.allclose(motion(np.array([1, 0, 0, 0, 0, 0])), [0, 1, 0, 0, 0, 0])
    assert np.allclose(motion(np.array([0, 0, 1, 0, 0, 1])), [0, 0, 1, 0, 0, 1])


# --- the terminal ----------------------------------------------------------------------------------------------------


@pytest.fixture
def screen() -> Iterator[tuple[int, Terminal]]:
    """The far end of a terminal, and the terminal."""
    far, near = pty.openpty()
    with closing(Terminal(near)) as terminal:
        yield far, terminal
    os.close(far)


def test_keys_come_one_by_one_by_name(screen: tuple[int, Terminal]) -> None:
    far, terminal = screen
    assert terminal.keys() == []
    os.write(far, "S \x1b[A\x1b[5~\x1bOCé\r\x7f".encode())
    heard: list[str] = []
    until(lambda: bool(heard.extend(terminal.keys())) or len(heard) == 8)
    assert heard == ["S", " ", "up", "page up", "right", "é", "enter", "backspace"]


def test_every_key_that_drives_has_its_way_and_no_capital(clock: Wrist) -> None:
    ways = set()
    for key in MOVES:
        hand = Keyboard(now=clock).read([key])
        assert hand.held
        (axis,) = np.flatnonzero(hand.axes)
        ways.add((int(axis), bool(hand.axes[axis] > 0)))
        assert not key.isupper()
    assert len(ways) == 12


def test_a_press_moves_a_little_and_the_opposite_key_stops_it(clock: Wrist) -> None:
    board = Keyboard(now=clock)
    assert board.read(["up"]).axes[1] > 0
    assert not board.read(["down"]).axes.any()
    clock.s += 1.0
    hand = board.read([])
    assert (hand.held, hand.presses) == (False, 0)
    assert board.read([" "]).presses == 1


# --- the operator's keys ---------------------------------------------------------------------------------------------


def test_what_the_keys_say_and_what_is_left_to_drive_with() -> None:
    operator = Operator()
    said, rest = operator.hear(["up", "S", "+", "+", "-", "x"])
    assert (said.outcome, said.reward, said.discard, rest) == (Outcome.SUCCESS, 1.0, False, ["up", "x"])
    assert operator.hear(["D"])[0].discard
    assert operator.hear(["F"])[0].outcome is Outcome.FAILURE


def test_a_note_is_typed_over_many_steps_and_its_letters_are_no_keys() -> None:
    operator = Operator()
    typed = [*"NSlix", "backspace"], [], [*"p D", "enter", "S"]
    heard = [operator.hear(keys) for keys in typed]
    assert [said.note for said, _ in heard] == ["", "", "Slip D"]
    assert [said.outcome for said, _ in heard] == [None, None, Outcome.SUCCESS]
    assert not any(said.discard for said, _ in heard)


class Typed:
    """Keys in batches; what is said is kept, and how many batches were left then."""

    def __init__(self, *batches: list[str]) -> None:
        self.batches, self.told, self.left = list(batches), list[str](), list[int]()

    def keys(self) -> list[str]:
        return self.batches.pop(0) if self.batches else []

    def tell(self, text: str) -> None:
        self.told.append(text)
        self.left.append(len(self.batches))


END = EpisodeEnd(
    end_reason="timeout", success=Outcome.FAILURE, success_derivation="", collection="demo", terminal=False
)


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([["enter"]], HumanInput()),
        ([["up"], ["S"]], HumanInput(outcome=Outcome.SUCCESS)),
        ([[*"Ngood", "enter"], ["+"], ["enter"]], HumanInput(note="good", reward=1.0)),
        ([["D"]], HumanInput(discard=True)),
    ],
)
def test_the_last_word_on_an_episode(batches: list[list[str]], said: HumanInput) -> None:
    keys = Typed(["S"], *batches)  # the first S was pressed before it was asked
    assert review(keys, END, heed=lambda: None, wait=lambda s: None) == said
    assert "timeout, failure" in keys.told[0]
    assert keys.left[0] == len(batches), "who answers at once is heard"


def reviewed(said: HumanInput | Exception) -> FakeRecorder:
    def speak(end: EpisodeEnd) -> HumanInput:
        assert end.end_reason == "timeout"
        if isinstance(said, Exception):
            raise said
        return said

    recorder = FakeRecorder()
    run_episode(FakeRobot(), FakePolicy(), recorder, max_steps=3, collection="rollout", review=speak)
    return recorder


def test_the_last_word_is_what_is_stored() -> None:
    recorder = reviewed(HumanInput(outcome=Outcome.SUCCESS, note="late", reward=1.0))
    (end,) = recorder.ends
    assert (end.success, end.success_derivation) == (Outcome.SUCCESS, "operator key after the end")
    assert [event["kind"] for event in recorder.events] == ["note", "reward"]
    assert reviewed(HumanInput(discard=True)).discarded == 1
    assert reviewed(HumanInput()).ends[0].success is Outcome.UNKNOWN


def test_who_stops_the_program_instead_keeps_the_episode_as_it_ended() -> None:
    kept = FakeRecorder()

    def interrupted(end: EpisodeEnd) -> HumanInput:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_episode(FakeRobot(), FakePolicy(), kept, max_steps=3, collection="rollout", review=interrupted)
    assert [end.end_reason for end in kept.ends] == ["timeout"]


# --- who drives ------------------------------------------------------------------------------------------------------


class FakeHand:
    """A hand by step: `moves[t]` is the hand at the t-th poll; the last one lasts."""

    hold_s, legend = 0.3, ""

    def __init__(self, *moves: Hand) -> None:
        self.moves, self.t = moves, -2

    def read(self, keys: object) -> Hand:
        self.t += 1
        return self.moves[min(max(self.t, 0), len(self.moves) - 1)]

    def close(self) -> None:
        """Nothing is held."""


FREE = Hand(axes=np.zeros(6), held=False)
PUSHED = Hand(axes=np.array([0, 1, 0, 0, 0, 0.0]), held=True)


def driven(*moves: Hand, steps: int, keys: Typed | None = None) -> tuple[FakeRobot, FakeRecorder]:
    robot, recorder, hand = FakeRobot(), FakeRecorder(), FakeHand(*moves)
    hand.t = -1
    teleop = Person(hand, keys, fake_spec())
    run_episode(robot, FakePolicy(), recorder, max_steps=steps, collection="takeover", teleop=teleop)
    return robot, recorder


def test_the_person_drives_at_once_keeps_the_arm_a_while_and_the_policy_comes_back_slowly() -> None:
    robot, recorder = driven(FREE, FREE, PUSHED, PUSHED, FREE, steps=14)
    assert recorder.sources == [POLICY] * 2 + [HUMAN] * 4 + [POLICY] * 8
    assert np.allclose(robot.sent[2][:3], [-1, 0, 0])
    assert not np.any(robot.sent[5][:6]), "let go: the arm stands"
    assert [step.raw_action[6] for step in recorder.steps[1:5]] == [0, 1, 1, 0]
    shares = [sent[0] / POLICY_ACTION[0] for sent in robot.sent[6:]]
    assert np.isclose(shares[0], 0.0)
    assert np.all(np.diff(shares) >= 0.0)
    assert shares[-1] == 1.0
    assert 0.0 < shares[2] < 1.0
    assert all(np.array_equal(step.policy_action, POLICY_ACTION) for step in recorder.steps)
    assert recorder.of("takeover")[0]["reason"] == "hand"


def test_a_puck_that_is_bumped_without_the_deadman_moves_nothing() -> None:
    bumped = Hand(axes=PUSHED.axes, held=False)
    _, recorder = driven(FREE, bumped, steps=4)
    assert recorder.sources == [POLICY] * 4
    assert np.allclose(recorder.steps[2].raw_action, bumped.raw)


def test_a_press_closes_the_gripper_and_the_next_opens_it() -> None:
    held = [Hand(axes=np.zeros(6), held=True, presses=presses) for presses in (0, 1, 1, 2)]
    robot, _ = driven(*held, steps=4)
    assert [float(sent[6]) for sent in robot.sent] == [0.0, 1.0, 1.0, -1.0]


def test_keys_end_mark_and_note_while_somebody_drives() -> None:
    keys = Typed(["S"], [], ["+"], [*"Nstuck", "enter"], ["S"])
    _, recorder = driven(FREE, PUSHED, steps=9, keys=keys)
    assert [event["kind"] for event in recorder.events if event["kind"] != "takeover"] == ["reward", "note", "success"]
    (end,) = recorder.ends
    assert (end.success, end.success_derivation) == (Outcome.SUCCESS, "operator key")


def test_a_lost_device_ends_the_episode_as_a_stop() -> None:
    class Lost(FakeHand):
        def read(self, keys: object) -> Hand:
            if self.t == 1:
                raise SafetyStop("the SpaceMouse is gone")
            return super().read(keys)

    robot, recorder = FakeRobot(), FakeRecorder()
    hand = Lost(FREE)
    teleop = Person(hand, None, fake_spec())
    hand.t = -1
    summary = run_episode(robot, FakePolicy(), recorder, max_steps=9, collection="takeover", teleop=teleop)
    assert (summary.steps, summary.fault) == (2, "the SpaceMouse is gone")
    assert robot.log[-1] == "stop"
