"""The replay memory: n-step returns against a plain reference, and no credit across a change of driver."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import IntegrityError, UsageError
from models.replay import NStep, Replay, Transition

GAMMA = 0.9
drivers = st.lists(st.integers(0, 3), min_size=0, max_size=12)


def observation(t: int) -> torch.Tensor:
    return torch.tensor([float(t)])


def transitions(drivers: list[int], n: int, *, success: bool, terminal: bool) -> list[Transition]:
    window = NStep(steps=n, gamma=GAMMA)
    made = [
        transition
        for t, driver in enumerate(drivers)
        for transition in window.push(observation(t), torch.tensor([t / 100.0]), driver)
    ]
    return made + window.end(success, terminal=terminal)


def reference(drivers: list[int], n: int, *, success: bool, terminal: bool) -> list[tuple[int, float, float, int]]:
    """(t, return, discount, next t) of every step, straight from the definition."""
    length, rows = len(drivers), []
    for t in range(length):
        k = 1
        while k < n and t + k < length and drivers[t + k] == drivers[t]:
            k += 1
        ends = t + k == length
        if not ends:
            rows.append((t, 0.0, GAMMA**k, t + k))
        elif terminal:
            rows.append((t, GAMMA ** (k - 1) if success else 0.0, 0.0, length - 1))
        elif t < length - 1:
            rows.append((t, 0.0, GAMMA ** (length - 1 - t), length - 1))
    return rows


@given(drivers, st.integers(1, 5), st.booleans(), st.booleans())
def test_the_windows_are_those_of_the_definition(drivers: list[int], n: int, success: bool, terminal: bool) -> None:
    success = success and terminal
    made = transitions(drivers, n, success=success, terminal=terminal)
    expected = reference(drivers, n, success=success, terminal=terminal)
    assert [int(m.observation) for m in made] == [t for t, *_ in expected]
    for mine, (t, reward, discount, next_t) in zip(made, expected, strict=True):
        assert mine.driver == drivers[t]
        assert mine.action == pytest.approx(t / 100)
        assert (mine.reward, mine.discount) == pytest.approx((reward, discount))
        if discount:
            assert int(mine.next_observation) == next_t


def test_a_rescue_is_not_credited_to_what_jammed() -> None:
    """The policy's last window ends where the person begins, with the value there and no reward."""
    jam = transitions([0, 0, 2, 2], 3, success=True, terminal=True)
    assert [(m.reward, m.discount) for m in jam[:2]] == [(0.0, GAMMA**2), (0.0, GAMMA)]
    assert [m.reward for m in jam[2:]] == [GAMMA, 1.0]


def filled(capacity: int, count: int) -> Replay:
    memory = Replay(capacity, 2, 1)
    for i in range(count):
        memory.add(
            Transition(torch.full((2,), i * 1.0), torch.tensor([-i * 1.0]), 0, i / 10, 0.5, torch.full((2,), 9.0))
        )
    return memory


def test_a_row_comes_back_as_it_went_in_and_the_oldest_go_first() -> None:
    kept = filled(4, 6).everything()
    assert sorted(kept.observation[:, 0].tolist()) == [2.0, 3.0, 4.0, 5.0]
    assert torch.equal(kept.action[:, 0], -kept.observation[:, 1])
    assert torch.allclose(kept.reward, kept.observation[:, 0] / 10)
    assert kept.discount.tolist() == [0.5] * 4
    assert kept.next_observation.tolist() == [[9.0, 9.0]] * 4


def test_draws_cover_the_memory_and_no_more() -> None:
    memory = filled(10, 3)
    drawn = memory.batch(memory.draw(200, torch.Generator().manual_seed(0)))
    assert set(drawn.observation[:, 0].tolist()) == {0.0, 1.0, 2.0}


def test_an_empty_memory_is_not_drawn_from() -> None:
    with pytest.raises(UsageError, match="empty"):
        Replay(4, 2, 1).draw(1, torch.Generator())


@pytest.mark.parametrize("count", [2, 7])
def test_a_restored_memory_goes_on_as_the_one_it_was(count: int) -> None:
    memory, again = filled(5, count), Replay(5, 2, 1)
    again.restore(memory.state())
    for one in (memory, again):
        one.add(Transition(torch.zeros(2), torch.zeros(1), 0, 1.0, 0.0, torch.zeros(2)))
    rows = [one.draw(50, torch.Generator().manual_seed(1)) for one in (memory, again)]
    assert torch.equal(*rows)


def test_a_memory_of_another_shape_is_refused() -> None:
    with pytest.raises(IntegrityError, match="does not fit"):
        Replay(3, 2, 1).restore(filled(5, 5).state())
