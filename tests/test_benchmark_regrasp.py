"""The method with Regrasp and its controls: what they fit, when they act, and that a killed run ends the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest
import torch
from benchmark_runs import Killed, killed_after, same

from episodes.errors import DeviceError, UsageError
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore
from models.actor_critic import ActorCriticConfig
from models.intervention import InterventionConfig
from models.recall import MemoryConfig
from models.recovery import RecoveryConfig
from models.replay import NStep, Replay
from models.trigger import TriggerConfig
from models.value import ValueConfig
from robot_io.benchmark.controls import NoRecovery, Oracle, RandomTrigger, Sham, recovery_rates
from robot_io.benchmark.hil_serl import HilSerl, HilSerlConfig
from robot_io.benchmark.method import Schedule, Start
from robot_io.benchmark.record import BROKEN, RunRecord, TrainingEpisode
from robot_io.benchmark.refit import RefitConfig, labels_hash
from robot_io.benchmark.regrasp import HilSerlRegrasp, RegraspConfig
from robot_io.benchmark.rounds import Rounds
from robot_io.benchmark.run import METHODS, TRAINING, Plan, run
from robot_io.benchmark.smoke import missing
from robot_io.protocols import Step
from robot_io.sim.arm import Arm

NETS = ActorCriticConfig(hidden=16, critics=2, clone_steps=60, clone_batch=32)
REFIT = RefitConfig(
    value=ValueConfig(cameras=(), folds=2, steps=60, workers=1),
    intervention=InterventionConfig(steps=20, batch=32),
    trigger=TriggerConfig(alpha=0.4, early_alpha=0.8, learning=True),
    memory=MemoryConfig(human_only=True, span_s=4.0, floor_quantile=None),
    recovery=RecoveryConfig(hidden=16, steps=40),
)
CONFIG = RegraspConfig(
    learner=HilSerlConfig(nets=NETS, updates=1, batch=16, pretraining=5),
    refit=REFIT,
    rounds=Rounds(first=200, longest=200),
)
SHORT = Schedule(
    steps=520,
    warm_up=260,
    demonstrations=5,
    evaluate_every=500,
    evaluation_episodes=1,
    test_episodes=1,
    checkpoint_every=50,
)
KINDS = {kind.name: kind for kind in (HilSerlRegrasp, NoRecovery, Oracle, RandomTrigger, Sham)}


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in KINDS.items():
            patch.setitem(METHODS, name, partial(kind, config=CONFIG))
        yield


def plan(method: str = "hil_serl_regrasp", schedule: Schedule = SHORT) -> Plan:
    return Plan(task="tube_insertion", method=method, seed=0, schedule=schedule)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("regrasp")


@pytest.fixture(scope="module")
def whole(root: Path) -> RunRecord:
    return run(plan(), root)


def test_the_smoke_run_sees_what_did_not_happen(whole: RunRecord) -> None:
    assert missing(whole) == ""
    still = replace(whole, training=[replace(row, recovery_steps=0) for row in whole.training])
    assert missing(still) == "tube_insertion hil_serl_regrasp seed 0 did not start a recovery"
    refused = replace(still, made={"rounds": [{"refused": "too few"}]}, trials=[])
    assert missing(refused) == (
        "tube_insertion hil_serl_regrasp seed 0 did not train after its warm-up nor fit a monitor and a recovery "
        "nor start a recovery: too few"
    )


def test_it_recovers_only_after_the_first_refit(whole: RunRecord) -> None:
    first = whole.made["rounds"][0]["from_step"]
    before = [row for row in whole.training if row.first_step < first]
    after = [row for row in whole.training if row.first_step >= first]
    assert sum(row.recoveries + row.triggers for row in before) == 0
    assert sum(row.recoveries for row in after) > 0
    assert sum(row.recovery_steps for row in after) > 0


def test_every_round_is_kept_and_says_what_it_was_made_of(whole: RunRecord, root: Path) -> None:
    rounds = whole.made["rounds"]
    assert len(rounds) == 2
    for number, told in enumerate(rounds):
        place = root / "derived" / "rounds" / str(number)
        audited = pl.read_parquet(place / "labels.parquet")
        assert set(audited["verdict"]) <= {"unaudited"}
        assert told["labels"] == labels_hash(audited)
        assert told["freeze"] == f"tube_insertion-hil_serl_regrasp-0-{number}"
        seen = [row for row in whole.training if row.first_step < told["from_step"]]
        assert told["episodes"] == SHORT.demonstrations + len(seen)


@dataclass(frozen=True)
class Told:
    """What a learner heard: who did it, and whether it went into the person's memory."""

    driver: int
    persons: bool


def heard(kind: type[HilSerlRegrasp], sources: Sequence[ActionSource], success: Outcome) -> list[Told]:
    """What the memories of a method get of one short episode in which `sources` drive."""
    told: list[Told] = []
    method = object.__new__(kind)
    method._max_steps = method._episode_steps = 150
    method._window = NStep(steps=3, gamma=0.9)
    with pytest.MonkeyPatch.context() as patch:
        for persons in (False, True):
            memory = Replay(1, 1, 1)
            patch.setattr(memory, "add", lambda t, to=persons: told.append(Told(t.driver, to)))
            setattr(method, "_person" if persons else "_run", memory)
        for source in sources:
            method._remember(method._window.push(torch.zeros(1), torch.zeros(1), int(source)), source)
        method.end_episode(None, success)
    return told


P, R, H, HOLD = ActionSource.POLICY, ActionSource.RECOVERY, ActionSource.HUMAN, ActionSource.HOLD


@pytest.mark.parametrize("after", [[P, P], [], [HOLD, H], [H]])
def test_what_a_recovery_did_is_the_runs_and_not_the_persons(after: list[ActionSource]) -> None:
    told = heard(HilSerlRegrasp, [P, R, R, R, *after], Outcome.SUCCESS)
    assert sum(not t.persons for t in told if t.driver == R) == 3
    assert {t.driver for t in told if t.persons} == {int(source) for source in after if source is H}


def test_a_run_killed_twice_goes_on_to_the_identical_result(whole: RunRecord, tmp_path: Path) -> None:
    for left in (2, 1):
        with pytest.raises(Killed):
            run(plan(), tmp_path, killed_after(len(whole.training) - left))
    assert same(run(plan(), tmp_path), whole)
    store = EpisodeStore(tmp_path)
    assert sorted(store.ids(session=TRAINING)) == sorted(row.episode_id for row in whole.training)


def test_random_spends_what_its_match_spent_and_resumes(whole: RunRecord, root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run that first"):
        run(plan("random"), tmp_path / "unmatched")
    one = run(plan("random"), tmp_path / "one", matched=root)
    rates = recovery_rates(whole)
    spans = bounds(one)
    assert abs(len(spans) - len(rates)) <= 1  # the last episode of one may end before a round that the other began
    for rate, (first, stop) in zip([*rates, 0.0][: len(spans)], spans, strict=True):
        rows = [row for row in one.training if first <= row.first_step < stop]
        asked = sum(row.policy_steps + row.recoveries for row in rows)
        assert sum(row.recoveries for row in rows) <= asked * rate + 1
    assert sum(row.recoveries for row in one.training) > 0
    with pytest.raises(Killed):
        run(plan("random"), tmp_path / "other", killed_after(len(one.training) - 1), matched=root)
    assert same(run(plan("random"), tmp_path / "other", matched=root), one)


def bounds(record: RunRecord) -> list[tuple[int, int]]:
    starts = [told["from_step"] for told in record.made["rounds"]]
    return list(zip(starts, [*starts[1:], 10**9], strict=True))


def test_rates_are_recoveries_for_each_step_a_policy_could_be_stopped_at(whole: RunRecord) -> None:
    (first, second) = bounds(whole)
    rows = [row for row in whole.training if first[0] <= row.first_step < first[1]]
    recoveries = sum(row.recoveries for row in rows)
    assert recovery_rates(whole)[0] == recoveries / (recoveries + sum(row.policy_steps for row in rows))
    none = replace(whole, training=[row for row in whole.training if row.first_step < second[0]])
    assert recovery_rates(none)[1] == 0.0


def test_no_recovery_asks_at_once(tmp_path: Path) -> None:
    record = run(plan("no_recovery"), tmp_path)
    assert sum(row.triggers for row in record.training) > 0
    assert sum(row.recovery_steps for row in record.training) == 0
    assert "asked" in {reason for row in record.training for reason in row.reasons}


def test_the_oracle_runs_to_its_end(tmp_path: Path) -> None:
    assert sum(row.recovery_steps for row in run(plan("oracle"), tmp_path).training) > 0


def test_in_the_sham_the_policy_goes_on(tmp_path: Path) -> None:
    record = run(plan("sham"), tmp_path)
    assert sum(row.recovery_steps for row in record.training) > 0
    store = EpisodeStore(tmp_path)
    items = [
        event["item"]
        for row in record.training
        for event in store.read(row.episode_id).events
        if event["kind"] == "recovery"
    ]
    assert items
    assert set(items) == {""}


def test_where_the_episodes_do_not_suffice_the_record_says_so_and_the_run_goes_on(tmp_path: Path) -> None:
    few = replace(SHORT, demonstrations=1, steps=360, warm_up=0)
    record = run(plan(schedule=few), tmp_path)
    assert "successful training episodes" in record.made["rounds"][0]["refused"]
    assert sum(row.triggers for row in record.training) == 0


def test_what_broke_down_is_not_remembered() -> None:
    memory = Replay(10, 1, 1)
    memory.restore({"rows": torch.ones(4, 5), "added": torch.tensor(4)})
    memory.rewind(3)
    assert len(memory) == 3


class Breaks(HilSerl):
    """Lets the physics diverge once, after 30 steps of training."""

    broken = False

    def observe(self, step: Step) -> None:
        super().observe(step)
        Breaks.broken = self._steps == 30

    def ended(self, row: TrainingEpisode) -> None:
        super().ended(row)
        self.remembered = len(self._run)


def test_an_episode_that_broke_down_is_counted_and_nothing_of_it_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Breaks] = []

    def begin(start: Start) -> Breaks:
        made.append(Breaks(start, CONFIG.learner))
        return made[-1]

    def drive(self: Arm, *given: object) -> None:
        if Breaks.broken:
            Breaks.broken = False
            raise DeviceError("the physics diverged")
        sound(self, *given)  # type: ignore[arg-type]

    sound = Arm.drive
    monkeypatch.setattr(Arm, "drive", drive)
    monkeypatch.setitem(METHODS, "hil_serl", begin)
    record = run(plan("hil_serl", replace(SHORT, steps=100, warm_up=0)), tmp_path)
    first, *others = record.training
    assert (first.failure_mode, first.steps) == (BROKEN, 31)
    remembered = sum(row.steps - (row.end_reason == "timeout") for row in others)
    assert made[0].remembered == remembered


def test_a_matched_run_that_ended_before_its_first_round_gives_no_rate() -> None:
    short = RunRecord(
        task="t", method="m", seed=0, config={}, versions={}, seconds=0.0, training=(), trials=(), made={"rounds": []}
    )
    assert recovery_rates(short) == []


def test_rounds_come_when_the_run_has_doubled_and_later_evenly() -> None:
    rounds = Rounds(first=250, longest=1_000)
    begun = [steps for steps in range(5_000) if rounds.due(steps) > rounds.due(steps - 1)]
    assert begun == [250, 500, 1_000, 2_000, 3_000, 4_000]
    with pytest.raises(UsageError, match="at least 1"):
        Rounds(first=0)
