"""The stages of the graph as data: what each one reads, how it is partitioned, and what makes it stale.

Nothing here knows Dagster or torch: whether a stage is up to date is asked often and must be cheap to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PartitionKind = Literal["session", "task"]
TABLE = "table.parquet"
"""the file name of stages whose output is one table"""
TRAINING = {"training": "models.training:TrainingConfig"}
"""what stages that train have in common"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage; its output for a partition is the directory `derived/<key>/<partition>/`."""

    key: str
    """group/name, the Dagster asset key"""
    partition: PartitionKind
    about: str
    """one sentence for the reader of the graph"""
    deps: tuple[str, ...] = ()
    """keys of the stages it reads"""
    only_with: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    """key of one of `deps` -> config, field and value of settings.json with which alone it is read"""
    code_version: str = "1"
    """to be raised when the same inputs give another output"""
    configs: Mapping[str, str] = field(default_factory=dict)
    """name in settings.json -> module:Class of its config"""
    freeze: Literal["episodes", "labels", "pairs"] | None = None
    """which kind of freeze it reads"""
    collection: str = ""
    """reads only episodes collected like this, and is there only where there are any"""
    notes: bool = False
    """reads what only the simulator knows, to score by it; no other stage may"""
    checks: tuple[str, ...] = ()
    """names of its checks; the first one fails where the data are refused"""
    kinds: tuple[str, ...] = ()

    def reads(self, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Those of `deps` that are read with a workspace's settings."""
        asked = {key: settings.get(config, {}).get(name) == it for key, (config, name, it) in self.only_with.items()}
        return [key for key in self.deps if asked.get(key, True)]

    @property
    def group(self) -> str:
        return self.key.partition("/")[0]

    @property
    def path(self) -> list[str]:
        """The key as Dagster writes it."""
        return self.key.split("/")


STAGES: tuple[Stage, ...] = (
    Stage(
        key="episodes/raw",
        partition="session",
        about="The recordings of a session, as they are in the store.",
        checks=("files",),
        kinds=("hdf5",),
    ),
    Stage(
        key="episodes/validated",
        partition="session",
        about="What is wrong with each episode, and who was in control how long.",
        deps=("episodes/raw",),
        checks=("readable", "intervention_flag"),
        kinds=("parquet",),
    ),
    Stage(
        key="episodes/quality",
        code_version="2",
        partition="session",
        about="How good each episode is to learn from: figures, what is wrong, and a suggestion to people.",
        deps=("episodes/validated",),
        checks=("worth_learning_from",),
        kinds=("parquet",),
    ),
    Stage(
        key="episodes/decided",
        code_version="2",
        partition="task",
        about="What the files say about all episodes of a task, with the latest episode freeze laid over it.",
        deps=("episodes/validated",),
        freeze="episodes",
        checks=("episode_freeze",),
        kinds=("parquet",),
    ),
    Stage(
        key="episodes/split",
        partition="task",
        about="Who trains, calibrates and tests: given once to each episode and kept for ever.",
        deps=("episodes/decided",),
        checks=("no_leakage",),
        kinds=("parquet",),
    ),
    Stage(
        key="models/policy",
        code_version="2",
        partition="task",
        about="The base policy, cloned from the demonstrations.",
        deps=("episodes/decided", "episodes/split"),
        configs={"policy": "models.policy:PolicyConfig", **TRAINING},
        collection="demo",
        checks=("demonstrations",),
        kinds=("pytorch",),
    ),
    Stage(
        key="values/model",
        code_version="4",
        partition="task",
        about="The proxy value: how far the task is, learned from successes only, cross-fitted.",
        deps=("episodes/decided", "episodes/split"),
        configs={"value": "models.value:ValueConfig", **TRAINING},
        checks=("outcomes_known", "calibration"),
        kinds=("pytorch",),
    ),
    Stage(
        key="values/curves",
        code_version="2",
        partition="session",
        about="V, its band, W and the stall probability at each step, by nets that did not train on the episode.",
        deps=("episodes/raw", "values/model"),
        kinds=("parquet",),
    ),
    Stage(
        key="labels/stagnation",
        code_version="4",
        partition="task",
        about="Where the robot made no progress, mined from the value curves, with the terms that say why.",
        deps=("values/curves",),
        configs={"stagnation": "models.stagnation:StagnationConfig", "labels": "models.label_rules:LabelConfig"},
        checks=("label_rates", "takeover_alignment"),
        kinds=("parquet",),
    ),
    Stage(
        key="labels/audited",
        code_version="2",
        partition="task",
        about="The mined labels with the latest label freeze laid over them: what training reads.",
        deps=("labels/stagnation",),
        freeze="labels",
        checks=("label_freeze",),
        kinds=("parquet",),
    ),
    Stage(
        key="models/intervention",
        code_version="4",
        partition="task",
        about="Future, twin value, risk and trigger heads, and the trigger's calibrated threshold.",
        deps=("labels/audited", "values/model", "episodes/split"),
        configs={
            "intervention": "models.intervention:InterventionConfig",
            "trigger": "models.trigger:TriggerConfig",
            **TRAINING,
        },
        checks=("calibrated",),
        kinds=("pytorch",),
    ),
    Stage(
        key="memory/recovery",
        code_version="2",
        partition="task",
        about="Better states of past successes, to be found from a stuck one; and what would be found, for people.",
        deps=("values/curves", "labels/audited", "episodes/split"),
        configs={"memory": "models.recall:MemoryConfig"},
        freeze="pairs",
        checks=("memory_valid",),
        kinds=("safetensors", "parquet"),
    ),
    Stage(
        key="models/recovery",
        code_version="2",
        partition="task",
        about="The goal-conditioned recovery policy: from a stuck state and a goal to the next eight actions.",
        deps=("episodes/decided", "episodes/split", "memory/recovery"),
        only_with={"memory/recovery": ("recovery_head", "target", "retrieved")},
        configs={
            "recovery": "models.recovery:RecoveryConfig",
            "recovery_head": "models.recovery_heads:RecoveryHeadConfig",
            **TRAINING,
        },
        checks=("human_segments",),
        kinds=("pytorch",),
    ),
    Stage(
        key="triggers/curves",
        code_version="4",
        partition="session",
        about="The trigger's logit, score and decision at each step.",
        deps=("values/curves", "models/intervention"),
        kinds=("parquet",),
    ),
    Stage(
        key="reports/offline",
        code_version="5",
        partition="task",
        about="One page: how good value, trigger, memory and recovery are on episodes they did not see.",
        deps=("triggers/curves", "memory/recovery", "models/recovery"),
        notes=True,
        kinds=("html", "json"),
    ),
    Stage(
        key="releases/candidate",
        partition="task",
        about="Value, trigger, memory and recovery as one hashed bundle that may be promoted.",
        deps=(
            "values/model",
            "models/intervention",
            "memory/recovery",
            "models/recovery",
            "models/policy",
            "reports/offline",
        ),
        kinds=("safetensors",),
    ),
)
"""in topological order"""

STAGE: Mapping[str, Stage] = {stage.key: stage for stage in STAGES}
