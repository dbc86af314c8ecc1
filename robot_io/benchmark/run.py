"""One run: demonstrations, then a method that learns on the robot while the same person watches, judged on the way.

A run is a deterministic function of task, method, seed and schedule. It is a workspace of its own, in which every
episode of training is kept; killed, it goes on from its last checkpoint to the identical result.

Reset seeds: demonstrations `1000 * seed + i`, training `1,000,000 * (seed + 1) + i`; those of the trials are the
schedule's and the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from episodes.errors import RegraspError, UsageError
from episodes.record import Outcome
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, writer_lock
from models.dataset import StepData, load_step_data
from models.sealed import write_sealed
from robot_io.benchmark.bc import BehaviourCloning
from robot_io.benchmark.controls import NoRecovery, Oracle, RandomTrigger, Sham
from robot_io.benchmark.evaluate import evaluate
from robot_io.benchmark.farl import HilSerlFarl
from robot_io.benchmark.hg_dagger import HgDagger
from robot_io.benchmark.hil_serl import HilSerl
from robot_io.benchmark.images import SeeingRobot, own_encoder, robot_with_cameras, seen_through
from robot_io.benchmark.method import Method, Schedule, Start
from robot_io.benchmark.noting import Noting, noted
from robot_io.benchmark.progress import SoFar, forget_progress, load_progress, save_progress
from robot_io.benchmark.record import CRASH, RunRecord, read_run, versions
from robot_io.benchmark.regrasp import HilSerlRegrasp
from robot_io.benchmark.sweep import Setting
from robot_io.collect import collect_session, failure_mode
from robot_io.loop import run_episode
from robot_io.protocols import Robot
from robot_io.recorder import SessionRecorder, plain
from robot_io.sim import ScriptedHuman, SimRobot, make_robot

METHODS: Mapping[str, Callable[[Start], Method]] = {
    "bc": BehaviourCloning,
    "hg_dagger": HgDagger,
    "hil_serl": HilSerl,
    "hil_serl_farl": HilSerlFarl,
    "hil_serl_regrasp": HilSerlRegrasp,
    "no_recovery": NoRecovery,
    "oracle": Oracle,
    "random": RandomTrigger,
    "sham": Sham,
}
DEMONSTRATIONS, TRAINING = "demonstrations", "training"
"""the sessions of a run's workspace"""
Tell = Callable[[SoFar], None]
"""called after every episode: demonstrated, of training, and of the policy alone"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which run."""

    task: str
    method: str
    seed: int
    schedule: Schedule
    images: bool = False
    """camera frames in place of the object tracker"""
    setting: Setting | None = None
    """of the person; None for the table's"""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"there is no method {self.method!r}; choose among {', '.join(sorted(METHODS))}")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed} is negative; give 0 or more")


def run(plan: Plan, root: Path, tell: Tell | None = None, *, matched: Path | None = None) -> RunRecord:
    """Do the run in the directory `root`, or what is missing of it, and return its record.

    `matched` is the directory of the run that a control is matched to; only `random` wants one.
    An error that Regrasp does not explain is a crash: noted beside the run, so that no table forgets it, and raised.
    """
    done = read_run(root)
    if done is not None:
        return done
    robot = robot_with_cameras(plan.task) if plan.images else make_robot(plan.task, cameras=())
    workspace = Workspace.open(root, create=True)
    with writer_lock(root / ".run.lock"):
        try:
            like = read_run(matched) if matched is not None else None
            return _Run(plan=plan, workspace=workspace, robot=robot, tell=tell, matched=like).whole()
        except RegraspError:
            raise
        except Exception as error:
            which = {"task": plan.task, "method": plan.method, "seed": plan.seed}
            write_sealed(root / CRASH, which | {"error": f"{type(error).__name__}: {error}"})
            raise
        finally:
            robot.close()


@dataclass(slots=True, kw_only=True)
class _Run:
    """A run while it runs."""

    plan: Plan
    workspace: Workspace
    robot: SimRobot
    tell: Tell | None
    matched: RunRecord | None
    seen: Robot = field(init=False)
    """the robot as the method sees it"""
    method: Method = field(init=False)
    human: ScriptedHuman = field(init=False)
    so_far: SoFar = field(default_factory=SoFar)
    config: dict[str, Any] = field(default_factory=dict)
    _since_s: float = field(default_factory=time.monotonic)

    def whole(self) -> RunRecord:
        """Begin or go on, to the end."""
        plan, root = self.plan, self.workspace.root
        demonstrations, more = self._seen_by_the_method(self._demonstrations())
        start = Start(
            spec=self.seen.spec,
            max_steps=self.robot.max_steps,
            demonstrations=demonstrations,
            schedule=plan.schedule,
            seed=plan.seed,
            root=root,
            stalled=lambda: self.robot.privileged.stalled,
            matched=self.matched,
        )
        person = {plan.setting.name: plan.setting.value} if plan.setting else {}
        self.method = METHODS[plan.method](start)
        self.human = ScriptedHuman(self.robot, plan.seed, demo=False, **person)
        self.config = plain(
            {
                "schedule": asdict(plan.schedule),
                "method": self.method.config(),
                "demonstrated_steps": sum(len(d) for d in demonstrations),
                **more,
                **({"person": person} if person else {}),
            }
        )
        self._take_up()
        self._train()
        self._judge(plan.schedule.test_seed, plan.schedule.test_episodes, test=True)
        record = self._record()
        record.write(root)
        forget_progress(root)
        return record

    def _seen_by_the_method(self, demonstrations: list[StepData]) -> tuple[list[StepData], dict[str, Any]]:
        """Set how it sees the robot; the demonstrations seen so, and what the record says of it."""
        if not self.plan.images:
            self.seen = self.robot
            return demonstrations, {}
        encoder, made = own_encoder(self.workspace.root, demonstrations, self.plan.seed)
        self.seen = SeeingRobot(self.robot, encoder)
        return [seen_through(encoder, episode) for episode in demonstrations], {"images": made}

    def _demonstrations(self) -> list[StepData]:
        """Those of the workspace, recorded where they are missing; in the order of their reset seeds."""
        first, count = 1_000 * self.plan.seed, self.plan.schedule.demonstrations
        demonstrator = ScriptedHuman(self.robot, self.plan.seed, demo=True)
        reset_seeds = range(first, first + count)
        collect_session(
            self.workspace,
            DEMONSTRATIONS,
            self.robot,
            reset_seeds,
            collection="demo",
            teleop=demonstrator,
            on_episode=lambda summary: self._tell(),
        )
        store = EpisodeStore(self.workspace.root)
        attributes = {name: store.attributes(name) for name in store.ids(session=DEMONSTRATIONS)}
        ordered = sorted(attributes, key=lambda name: int(attributes[name]["collected_by"]["seed"]))
        return [
            load_step_data(store, name, success=Outcome(attributes[name]["success"]).as_bool(), split="train")
            for name in ordered
            if attributes[name]["complete"]
        ]

    def _take_up(self) -> None:
        """Go on where a killed run was saved."""
        saved = load_progress(self.workspace.root, self._made_by())
        if saved is not None:
            self.so_far, tensors = saved
            self.method.restore(tensors)

    def _train(self) -> None:
        schedule = self.plan.schedule
        steps = schedule.steps if self.method.learns else 0
        with SessionRecorder(self.workspace.root, TRAINING) as recorder:
            if recorder.recovered is not None and recorder.recovered.episode_id is not None:
                recorder.store.discard(recorder.recovered.episode_id)
            while True:
                if self._due(schedule.evaluate_every, [trial.step for trial in self.so_far.trials]):
                    self._judge(schedule.evaluation_seed, schedule.evaluation_episodes)
                if self.so_far.steps >= steps:
                    return
                self._episode(recorder)
                if self._passed(schedule.checkpoint_every):
                    self._save()

    def _due(self, every: int, done: list[int]) -> bool:
        """A multiple of `every` was reached that is not among `done`."""
        return not done or self.so_far.steps // every > done[-1] // every

    def _passed(self, every: int) -> bool:
        """The last episode reached a multiple of `every`."""
        return self.so_far.steps // every > self.so_far.training[-1].first_step // every

    def _episode(self, recorder: SessionRecorder) -> None:
        """One episode of training, recorded and noted."""
        index = len(self.so_far.training)
        reset_seed = 1_000_000 * (self.plan.seed + 1) + index
        noting, method = Noting(recorder), self.method
        summary = run_episode(
            self.seen,
            method.policy,
            noting,
            max_steps=self.robot.max_steps,
            collection="takeover",
            teleop=self.human,
            monitor=method.monitor,
            recovery=method.recovery,
            recovery_limits=method.recovery_limits,
            learner=method.learner,
            seed=reset_seed,
            timeout_outcome=Outcome.FAILURE,
        )
        row = noted(summary, noting.takeovers, index, reset_seed, self.so_far.steps, failure_mode(self.robot, summary))
        self.so_far.training.append(row)
        method.ended(row)
        self._tell()

    def _judge(self, first_seed: int, episodes: int, *, test: bool = False) -> None:
        reset_seeds = range(first_seed, first_seed + episodes)
        policy, step = self.method.alone(), self.so_far.steps
        for trial in evaluate(self.robot, self.seen, policy, reset_seeds, step=step, test=test):
            self.so_far.trials.append(trial)
            self._tell()

    def _save(self) -> None:
        self._clock()
        save_progress(self.workspace.root, self.so_far, self.method.state(), self._made_by())

    def _tell(self) -> None:
        if self.tell is not None:
            self.tell(self.so_far)

    def _clock(self) -> None:
        now_s = time.monotonic()
        self.so_far.seconds += now_s - self._since_s
        self._since_s = now_s

    def _made_by(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "task": plan.task,
            "method": plan.method,
            "seed": plan.seed,
            "config": self.config,
            "versions": versions(),
        }

    def _record(self) -> RunRecord:
        self._clock()
        so_far = self.so_far
        return RunRecord(
            **self._made_by(),
            seconds=so_far.seconds,
            training=so_far.training,
            trials=so_far.trials,
            made=plain(self.method.made()),
        )
