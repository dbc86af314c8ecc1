"""A release on a robot: what it reads is there and fits together, and the control differs in the trigger alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_samples import NAMES, episodes, fitted, frames
from robot_fakes import fake_spec

from episodes.errors import DataRefused, IntegrityError
from episodes.record import ActionSource
from models.checkpoint import model_hash
from models.policy import PolicyConfig, fit_policy
from models.recall import MemoryConfig, build_memory
from models.recovery import RecoveryConfig, fit_recovery
from models.trigger import FILE
from models.value_training import fit_value
from robot_io.deployment import STEPS, ReleaseMonitor, load_deployment, load_policy
from robot_io.protocols import Observation, RobotSpec
from robot_io.random_trigger import RecoveryBudget

SPEC = fake_spec(proprio_names=NAMES, proprio_units=("1",) * 4, cameras=(), task="insert")
POLICY = ActionSource.POLICY


@cache
def trained() -> tuple[Any, Any, Any]:
    """Base policy, recovery policy and memory of the sample episodes."""
    data = list(episodes())
    values = {name: curves.value for name, curves in fitted().curves.items()}
    memory = build_memory(data, values, MemoryConfig(end_value=0.0, gain=0.05))
    return (
        fit_policy(data, PolicyConfig(steps=5, hidden=8)),
        fit_recovery(data, RecoveryConfig(steps=5, hidden=8)),
        memory,
    )


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """Directories as a release has them."""
    made = {name: tmp_path / name for name in ("policy", "value", "trigger", "memory", "recovery")}
    policy, recovery, memory = trained()
    policy.save(made["policy"])
    recovery.save(made["recovery"])
    memory.memory.save(made["memory"])
    memory.encoder.save(made["memory"])
    hashes = {
        "value_hash": fitted().value.save(made["value"]),
        "intervention_hash": fitted().intervention.save(made["trigger"]),
    }
    replace(fitted().trigger, **hashes).save(made["trigger"])
    return made


def seen(t: int, which: int = 29, **changes: Any) -> Observation:
    episode = episodes()[which]
    given = {
        "time_s": t / 10,
        "ee_pose": episode.ee_pose[t],
        "proprio": episode.proprio[t],
        "wrench": episode.wrench[t],
        "images": {},
    }
    return Observation(**(given | changes))


def test_the_parts_of_a_release_act_together(parts: dict[str, Path]) -> None:
    deployed = load_deployment(parts, SPEC)
    assert deployed.policy.policy_id == f"bc-{model_hash(parts['policy'])}"
    assert deployed.policy.act(seen(0)).shape == (2,)
    episode, curves = episodes()[29], fitted().curves[episodes()[29].episode_id]
    deployed.monitor.reset()
    told = [deployed.monitor.update(seen(t), episode.executed_action[t], POLICY) for t in range(len(episode))]
    np.testing.assert_allclose([decision.value for decision in told], curves.value, atol=1e-6)
    assert [d.trigger for d in told] == [d.score > d.threshold for d in told]
    found = deployed.recovery.plan(seen(5), told[5].value)
    assert found.chunk is not None
    assert found.chunk.shape == (STEPS, 2)
    assert found.goal_value >= told[5].value
    assert found.item
    again = deployed.recovery.plan(seen(5), 2.0)
    assert again.item == found.item  # the next chunk of the same rescue pursues the same goal
    deployed.recovery.reset()
    nothing = deployed.recovery.plan(seen(5), 2.0)
    assert nothing.chunk is None
    assert (nothing.item, nothing.reason) == ("", "no better state in memory is similar enough")


def test_while_a_person_drives_the_monitor_sees_no_action(parts: dict[str, Path]) -> None:
    monitor = load_deployment(parts, SPEC).monitor
    a = monitor.update(seen(0), None, ActionSource.HUMAN)
    monitor.reset()
    assert monitor.update(seen(0), np.zeros(2), ActionSource.HUMAN) == a


@pytest.mark.parametrize("part", ["value", "trigger"])
def test_a_trigger_of_other_models_is_refused(parts: dict[str, Path], part: str) -> None:
    field = {"value": "value_hash", "trigger": "intervention_hash"}[part]
    (parts["trigger"] / FILE).unlink()
    hashes = {"value_hash": model_hash(parts["value"]), "intervention_hash": model_hash(parts["trigger"])}
    replace(fitted().trigger, **(hashes | {field: "0" * 16})).save(parts["trigger"])
    with pytest.raises(IntegrityError, match=f"calibrated on another {part} model"):
        load_deployment(parts, SPEC)


def test_a_missing_part_is_refused(parts: dict[str, Path]) -> None:
    shutil.rmtree(parts["recovery"])
    with pytest.raises(IntegrityError, match="recovery"):
        load_deployment(parts, SPEC)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        (replace(SPEC, proprio_names=("tool/x", "depth", "jaw", "priv/dx")), "no proprio value 'speed'"),
        (replace(SPEC, proprio_names=NAMES[::-1]), "the policy of this release reads not what fake measures"),
        (replace(SPEC, fps=20.0), "20 Hz .* trained at 10 Hz"),
    ],
)
def test_a_robot_that_does_not_fit_is_refused(parts: dict[str, Path], spec: RobotSpec, named: str) -> None:
    with pytest.raises(DataRefused, match=named):
        load_deployment(parts, spec)


def test_frames_of_another_size_are_brought_to_the_networks() -> None:
    data = [replace(e, frames={"third": frames(len(e), seed=i)}) for i, e in enumerate(episodes()[:18])]
    config = replace(fitted().value.config, cameras=("third",), image_px=16, steps=2, batch=4)
    model = fit_value(data, config)
    nets = [type(net)(64 + 3, 2).eval() for net in fitted().intervention.nets]
    intervention = replace(fitted().intervention, nets=nets, latent_size=64 + 3)
    monitor = ReleaseMonitor(model, intervention, fitted().trigger, replace(SPEC, cameras=("third",), image_px=32))
    frame = np.full((32, 32, 3), 90, np.uint8)
    large = monitor.update(seen(0, images={"third": frame}), np.zeros(2), POLICY)
    monitor.reset()
    assert monitor.update(seen(0, images={"third": frame[:16, :16]}), np.zeros(2), POLICY) == large
    with pytest.raises(DataRefused, match="fake has no camera third"):
        ReleaseMonitor(model, intervention, fitted().trigger, SPEC)


def test_a_pause_is_no_history(parts: dict[str, Path]) -> None:
    monitor = load_deployment(parts, SPEC).monitor
    for t in range(8):
        monitor.update(seen(t), np.zeros(2), POLICY)
    late = monitor.update(seen(13), np.zeros(2), POLICY)
    monitor.reset()
    assert monitor.update(seen(13), np.zeros(2), POLICY) == late


def test_the_control_sees_the_same_values_and_acts_by_its_budget(parts: dict[str, Path]) -> None:
    real, budget = load_deployment(parts, SPEC), RecoveryBudget(rate=0.5, seed=1)
    budget.go_on(0, 0)
    control = load_deployment(parts, SPEC).at_random(budget)
    assert control.policy.policy_id == real.policy.policy_id
    for deployed in (real, control):
        deployed.monitor.reset()
        deployed.recovery.reset()
    triggers = 0
    for t in range(12):
        told = [d.monitor.update(seen(t), np.zeros(2), POLICY) for d in (control, real)]
        assert told[0].value == told[1].value
        assert told[0].trigger == (told[0].score > told[0].threshold)
        triggers += told[0].trigger
        if told[0].trigger:
            assert control.recovery.plan(seen(t), told[0].value).chunk is not None
    assert triggers == 6


def test_a_base_policy_is_named_by_its_files(parts: dict[str, Path]) -> None:
    assert load_policy(parts["policy"]).policy_id == f"bc-{model_hash(parts['policy'])}"
