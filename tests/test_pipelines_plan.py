"""From what is stale to few runs."""

from __future__ import annotations

from pathlib import Path

from synthetic import make_episode

from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES
from assets.versions import Stale, survey
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from pipelines.materialize import explained
from pipelines.plan import Batch, batches, passes, reach, ready

RAW, VALIDATED, SPLIT = STAGE["episodes/raw"], STAGE["episodes/validated"], STAGE["episodes/split"]


def stale(*places: tuple[str, str]) -> list[Stale]:
    return [Stale(stage=STAGE[key], partition=partition, causes=()) for key, partition in places]


def test_stages_come_after_what_they_read() -> None:
    seen: set[str] = set()
    for stage in STAGES:
        assert set(stage.deps) <= seen
        seen.add(stage.key)


def test_a_pass_has_one_kind_of_partition_and_together_they_are_all_stages() -> None:
    assert [len({stage.partition for stage in group}) for group in passes()] == [1] * 6
    assert [stage for group in passes() for stage in group] == list(STAGES)


def test_neighbours_with_the_same_stale_stages_share_a_run() -> None:
    todo = stale(*[(key, p) for p in ("s1", "s2", "s4") for key in ("episodes/raw", "episodes/validated")])
    todo += stale(("episodes/validated", "s5"))
    assert batches(todo, passes()[0], ["s1", "s2", "s3", "s4", "s5"]) == [
        Batch((RAW, VALIDATED), ("s1", "s2")),
        Batch((RAW, VALIDATED), ("s4",)),
        Batch((VALIDATED,), ("s5",)),
    ]


def test_tasks_never_share_a_run() -> None:
    todo = stale(("episodes/split", "a"), ("episodes/split", "b"), ("episodes/raw", "s1"))
    assert batches(todo, passes()[1], ["a", "b"]) == [Batch((SPLIT,), ("a",)), Batch((SPLIT,), ("b",))]


def test_a_target_reaches_all_it_reads_unless_it_is_to_be_alone() -> None:
    assert reach(["values/model"], {}, only=False) == {
        "values/model",
        "episodes/split",
        "episodes/decided",
        "episodes/validated",
        "episodes/raw",
    }
    assert reach(["values/model"], {}, only=True) == {"values/model"}
    assert reach([], {}, only=False) == set(STAGE)


def test_a_stage_that_is_read_with_one_setting_alone_is_reached_with_that_alone() -> None:
    asked = {"recovery_head": {"target": "retrieved"}}
    assert "memory/recovery" in reach(["models/recovery"], asked, only=False)
    assert "memory/recovery" not in reach(["models/recovery"], {"recovery_head": {"head": "flow"}}, only=False)


def test_only_what_reads_nothing_stale_outside_its_own_batch_is_ready(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    for session in ("s1", "s2"):
        store.write(make_episode(1 if session == "s1" else 2, success=True, session=session))
    found = survey(Snapshot.take(Workspace.open(tmp_path)))
    whole = (RAW, VALIDATED, STAGE["episodes/quality"])
    assert list(ready(found)) == [Batch(whole, ("s1",)), Batch(whole, ("s2",))]


def test_causes_that_made_the_same_stale_share_a_line() -> None:
    causes = {f"new session s{n}": ["episodes/raw", "values/model"] for n in range(6)}
    assert explained(causes | {"label freeze demo": ["labels/audited"]}) == [
        "new session s0, new session s1, new session s2, new session s3 and 2 more -> episodes/raw, values/model",
        "label freeze demo -> labels/audited",
    ]
