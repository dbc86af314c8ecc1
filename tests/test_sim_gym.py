"""The Gymnasium side of the simulated tasks: what the checker asks, equal seeds, ends of episodes, faults."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from episodes.errors import UsageError
from robot_io.sim import ENVIRONMENTS, make_robot
from robot_io.sim.environments import TaskEnvironment

TUBE = ENVIRONMENTS["tube_insertion"]


def trajectory(env: gymnasium.Env[Any, Any], seed: int, steps: int = 8) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    seen = [env.reset(seed=seed)[0]]
    seen += [env.step(random.uniform(-1, 1, 7).astype(np.float32))[0] for _ in range(steps)]
    return [np.concatenate([value.ravel() for value in one.values()]) for one in seen]


def run_expert(env: gymnasium.Env[Any, Any]) -> list[tuple[Any, ...]]:
    robot, ends = env.unwrapped.robot, []  # type: ignore[attr-defined]
    while not ends or not (ends[-1][2] or ends[-1][3]):
        ends.append(env.step(robot.task.expert(robot.arm).astype(np.float32)))
    return ends


@pytest.mark.parametrize("task", sorted(ENVIRONMENTS))
def test_each_task_passes_gymnasiums_checker(task: str) -> None:
    env = gymnasium.make(ENVIRONMENTS[task])
    check_env(env.unwrapped, skip_render_check=True)
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (7,), np.float32)
    assert set(env.observation_space) == {"observation/proprio", "observation/ee_pose", "observation/wrench"}
    env.close()


def test_ids_are_the_names_of_the_tasks() -> None:
    assert TUBE == "regrasp/TubeInsertion-v0"
    assert ENVIRONMENTS["pick_eggplant"] == "regrasp/PickEggplant-v0"
    assert ENVIRONMENTS["ram_insertion"] == "regrasp/RamInsertion-v0"


@pytest.mark.parametrize("task", sorted(ENVIRONMENTS))
def test_equal_seeds_give_equal_trajectories(task: str) -> None:
    env, other = gymnasium.make(ENVIRONMENTS[task]), gymnasium.make(ENVIRONMENTS[task])
    first = trajectory(env, 3)
    assert np.array_equal(first, trajectory(other, 3))
    assert np.array_equal(first, trajectory(env, 3))
    assert not np.array_equal(first[0], trajectory(env, 4)[0])


def test_a_seed_is_the_robots_episode_and_without_one_the_next_differs() -> None:
    env = gymnasium.make(TUBE)
    robot = make_robot("tube_insertion", cameras=())
    first = env.reset(seed=11)[0]["observation/proprio"]
    assert np.array_equal(first, robot.reset(11).proprio)
    following = [env.reset()[0]["observation/proprio"] for _ in range(2)]
    assert not np.array_equal(*following)
    env.reset(seed=11)
    assert np.array_equal(env.reset()[0]["observation/proprio"], following[0])


def test_success_is_the_only_reward_and_ends_the_episode() -> None:
    env = gymnasium.make(TUBE)
    _, info = env.reset(seed=0)
    assert info == {"phi": info["phi"], "stalled": False, "help_needed": False, "success": False, "failure": ""}
    ends = run_expert(env)
    assert [reward for _, reward, *_ in ends] == [0.0] * (len(ends) - 1) + [1.0]
    assert ends[-1][2:4] == (True, False)
    assert ends[-1][4]["success"]
    assert ends[-1][4]["phi"] > info["phi"]


def test_the_time_limit_truncates() -> None:
    env = gymnasium.make(TUBE)
    env.reset(seed=0)
    still = np.zeros(7, np.float32)
    ends = [env.step(still) for _ in range(env.unwrapped.robot.max_steps)]  # type: ignore[attr-defined]
    assert [end[2] for end in ends] == [False] * len(ends)
    assert [end[3] for end in ends] == [False] * (len(ends) - 1) + [True]
    assert ends[-1][4]["failure"] == "jam"
    assert ends[-1][4]["help_needed"]


def test_physics_that_diverges_terminates_as_a_fault() -> None:
    env = gymnasium.make(TUBE)
    env.reset(seed=0)
    env.unwrapped.robot.arm.data.qvel[0] = np.nan  # type: ignore[attr-defined]
    seen, reward, terminated, truncated, info = env.step(np.zeros(7, np.float32))
    assert (reward, terminated, truncated, info["failure"]) == (0.0, True, False, "fault")
    assert env.observation_space.contains(seen)
    env.reset(seed=0)
    assert env.step(np.zeros(7, np.float32))[2] is False


def test_images_are_there_when_asked_for() -> None:
    env = gymnasium.make(TUBE, cameras=("third",), image_px=32, render_mode="rgb_array")
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    assert seen["observation/images/third"].shape == (32, 32, 3)
    preview = env.render()
    assert isinstance(preview, np.ndarray)
    assert preview.shape == (256, 256, 3)
    assert preview.std() > 10
    env.close()
    env.close()


def test_another_render_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="no render mode 'depth'"):
        TaskEnvironment("tube_insertion", render_mode="depth")
