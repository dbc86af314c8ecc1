"""The preregistered world: a changed number shows, a changed word does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robot_io.benchmark.method import SCHEDULES, schedule
from robot_io.benchmark.protocol import (
    CONTROL_TASKS,
    CONTROLS,
    MATCHED,
    METHODS,
    PREREGISTERED,
    RIGID,
    SEEDS,
    TASKS,
    VERSION,
    digests,
    numbers,
    table_runs,
)
from robot_io.benchmark.record import versions
from robot_io.sim import TASKS as SIMULATED

SOURCE = '''
"""A task of 3 parts."""
LIMIT_M = 0.012
"""metres, at most 5"""

def reset(random):
    # within 3 cm
    return random.uniform(-0.03, 0.03), "<box size='.05 1e-3 -2' name='cell7'/>", f"pos {LIMIT_M} .4"
'''


def test_the_world_is_the_one_that_its_version_stands_for() -> None:
    assert digests() == PREREGISTERED[VERSION], "the benchmark's world changed: give protocol.VERSION a new version"


def test_every_version_stands_for_another_world() -> None:
    assert len({tuple(sorted(parts.items())) for parts in PREREGISTERED.values()}) == len(PREREGISTERED)


def test_all_numbers_of_the_code_count_and_no_others() -> None:
    assert list(numbers(SOURCE)) == ["0.012", "-", "0.03", "0.03", "0.05", "0.001", "-2.0", "0.4"]


@pytest.mark.parametrize(("old", "new"), [("0.012", "0.013"), ("(-0.03", "(0.03"), ("1e-3", "1e-2"), (".4", ".5")])
def test_a_changed_number_shows(old: str, new: str) -> None:
    assert list(numbers(SOURCE.replace(old, new))) != list(numbers(SOURCE))


@pytest.mark.parametrize(("old", "new"), [("3 parts", "4 parts"), ("3 cm", "30 mm"), ("LIMIT_M", "FAR_M")])
def test_a_changed_word_does_not(old: str, new: str) -> None:
    assert list(numbers(SOURCE.replace(old, new))) == list(numbers(SOURCE))


def test_results_carry_the_version() -> None:
    assert versions()["protocol"] == VERSION


def test_the_table_has_each_run_once_and_a_control_after_what_it_is_matched_to() -> None:
    runs = table_runs()
    assert len(runs) == len(set(runs))
    assert len(runs) == len(SEEDS) * (len(TASKS) * len(METHODS) + len(CONTROL_TASKS) * len(CONTROLS))
    for place, run in enumerate(runs):
        if run.method in MATCHED:
            assert run._replace(method=MATCHED[run.method]) in runs[:place]


def test_cloth_has_a_shorter_schedule_in_the_table_alone() -> None:
    assert schedule("table", "fold_towel") == replace(SCHEDULES["table"], steps=8_000)
    assert schedule("table", "tube_insertion") == SCHEDULES["table"]
    assert schedule("smoke", "fold_towel") == SCHEDULES["smoke"]


def test_its_tasks_are_the_simulated_ones() -> None:
    assert set(TASKS) == set(SIMULATED)
    assert set(CONTROL_TASKS) <= set(RIGID) < set(TASKS)
