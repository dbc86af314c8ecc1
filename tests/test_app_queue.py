"""The queue: what speaks for a look, in which order, what is at random, and that it finds errors sooner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from app_pages import drawn, log_of, opened, press, served, texts
from app_workspace import STUCK, TASK, build

from audits.events import Event, draft_of
from audits.state import AuditState
from labeling_app import queued, ranking, signals
from labeling_app.data import Library
from labeling_app.ranking import EVERY, RANDOM
from labeling_app.screens import queue
from labeling_app.signals import UNLABELED, Candidate

FEATURES = (0.0,) * 5


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("queue")
    build(root, episodes=24)
    return root


def candidate(number: int, disagreement: float = 0.0, **more: object) -> Candidate:
    plain = Candidate(
        item=f"e{number}",
        kind="outcome",
        episode_id=f"e{number}",
        t=0,
        uncertainty=0.0,
        disagreement=disagreement,
        reasons=(),
        features=FEATURES,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def with_wrong(table: pl.DataFrame, flipped: frozenset[str]) -> pl.DataFrame:
    """The table with some outcomes turned round."""
    other = pl.col("success").replace({"success": "failure", "failure": "success"})
    told = pl.when(pl.col("episode_id").is_in(flipped)).then(other).otherwise(pl.col("success"))
    return table.with_columns(success=told)


def verdict(item: str, said: str, how: str) -> Event:
    shown = {"queued": how} if how else {}
    return draft_of("label.verdict", item, by="ada", value={"verdict": said}, shown=shown)


def candidates(root: Path, *, flipped: frozenset[str] = frozenset()) -> list[Candidate]:
    library = Library(root)
    return queued.candidates(library, TASK, with_wrong(library.episodes(TASK, {}), flipped), AuditState())


def test_what_is_most_in_doubt_comes_first_and_every_fifth_is_random() -> None:
    found = [candidate(number, number / 40) for number in range(40)]
    places = ranking.queue(found, set())
    assert [at for at, place in enumerate(places) if place.random] == list(range(EVERY - 1, 40, EVERY))
    ranked = [place.score for place in places if not place.random]
    assert ranked == sorted(ranked, reverse=True)
    assert sorted(place.candidate.item for place in places) == sorted(each.item for each in found)
    assert {place.why for place in places if place.random} == {RANDOM}


def test_who_always_takes_the_first_meets_random_ones_at_their_share() -> None:
    """Also where what was decided is no candidate any more, as a stall that got its label."""
    left, told, random = [candidate(number, number / 40) for number in range(40)], list[Event](), 0
    while left:
        first = ranking.queue(left, set(), ranking.taken(told))[0]
        random += first.random
        left.remove(first.candidate)
        told.append(verdict(first.candidate.item, "accept", "random" if first.random else "ranked"))
    assert random == 40 // EVERY


def test_what_is_unlike_everything_decided_is_new() -> None:
    found = [candidate(number, features=(float(number), *FEATURES[1:])) for number in (0, 1, 2, 9)]
    assert int(np.argmax(ranking.novelty(found, {"e0", "e1"}))) == 3
    assert ranking.novelty(found, {"e9"})[3] == 0.0
    assert ranking.novelty(found[:1], set()) == [0.0]


def test_each_kind_says_why(workspace: Path) -> None:
    library = Library(workspace)
    table = library.episodes(TASK, {})
    wrong = table.filter(pl.col("success") == "success")["episode_id"][0]
    found = candidates(workspace, flipped=frozenset({wrong}))
    (outcome,) = [each for each in found if each.item == wrong]
    assert "counts as failure and the model ends at W" in outcome.reasons[0]
    assert outcome.disagreement > 0.5
    late = [each for each in found if each.kind == "label" and each.item.endswith(":88-96")]
    assert late
    assert all("the model does not" in each.reasons[0] for each in late)
    stuck = [each for each in found if each.kind == "label" and each.item.endswith(f":{STUCK[0]}-{STUCK[1]}")]
    assert max(each.disagreement for each in stuck) < min(each.disagreement for each in late)
    assert {each.kind for each in found} == {"outcome", "label", "pair"}


def test_a_takeover_or_a_stall_without_a_label_is_missed_until_it_has_one() -> None:
    stall = np.where((np.arange(100) >= 10) & (np.arange(100) < 30), 0.9, 0.1)
    curves = {"e": {"value": np.linspace(0, 1, 100), "stall_probability": stall}}
    found = list(signals.missed([], curves, {"e": [90]}, {}, 10.0))
    assert [(each.item, each.reasons) for each in found] == [
        ("e:40-90", (UNLABELED,)),
        ("e:10-30", ("the model sees a stall (0.90) and no rule does",)),
    ]
    marked = {"e": [(10, 30, "progress"), (80, 85, "progress")]}
    assert list(signals.missed([], curves, {"e": [90]}, marked, 10.0)) == []


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_errors_are_found_at_least_twice_as_soon_as_in_random_order(workspace: Path, rate: float) -> None:
    """Simulated: so many recorded outcomes turned round, at random; a fifth of the episodes is looked at."""
    table, shares = Library(workspace).episodes(TASK, {}), []
    curves = signals.by_episode(Library(workspace).curves(TASK), signals.CURVE_COLUMNS)
    ids, looks = table["episode_id"].to_list(), len(table) // 5
    for seed in range(20):
        chosen = np.random.default_rng(seed).choice(ids, max(1, round(rate * len(ids))), replace=False)
        wrong = frozenset(str(each) for each in chosen)
        order = ranking.queue(list(signals.outcomes(with_wrong(table, wrong), curves)), set())
        shares.append(len({place.candidate.item for place in order[:looks]} & wrong) / min(len(wrong), looks))
    assert np.mean(shares) >= 2 / 5


def test_what_was_found_is_counted_apart_and_once() -> None:
    told = [("a", "reject", "ranked"), ("a", "reject", "ranked"), ("b", "accept", "ranked"), ("c", "reject", "random")]
    found = ranking.found(verdict(*each) for each in [*told, ("d", "reject", "")])
    assert (found[False].wrong, found[False].looked) == (1, 2)
    assert (found[True].wrong, found[True].looked) == (1, 1)


def test_what_was_taken_back_was_not_found() -> None:
    told = [replace(verdict("a", "reject", "ranked"), seq=1), draft_of("undo", "a", by="ada", value={"seq": 1})]
    assert ranking.found(told)[False].looked == ranking.taken(told) == 0


def test_stalls_wait_where_the_rule_mined_nothing(tmp_path: Path) -> None:
    build(tmp_path, episodes=4)
    path = tmp_path / "derived/labels/stagnation" / TASK / "labels.parquet"
    pl.read_parquet(path).clear().write_parquet(path)
    assert "missed" in {each.kind for each in candidates(tmp_path)}


def test_a_pair_that_is_gone_after_a_re_make_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, episodes=4)
    served(tmp_path, monkeypatch)
    app = opened("queue")
    before = len(app.dataframe[0].value)
    memory = tmp_path / "derived/memory/recovery" / TASK
    pl.read_parquet(memory / "pairs.parquet").clear().write_parquet(memory / "pairs.parquet")
    assert queue._pair_place(TASK, "gone") == 0
    (memory / "manifest.json").write_text('{"data_version": "m2"}')
    assert len(drawn(app.run()).dataframe[0].value) < before


def test_the_page_opens_what_waits_and_the_decision_says_that_the_queue_brought_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, episodes=4)
    served(tmp_path, monkeypatch)
    app = opened("queue")
    first = app.dataframe[0].value
    assert len(first) == len(candidates(tmp_path))
    assert first["why"].str.len().min() > 0
    place = ranking.queue(candidates(tmp_path), set())[0]
    assert place.candidate.kind == "label"
    page = opened("trigger_labels", episode=place.candidate.episode_id)
    page.session_state["queued"] = place
    page.session_state["label"] = place.candidate.item
    press(drawn(page.run()), "x")
    (event,) = log_of(tmp_path).events()
    assert (event.item, event.shown["queued"], event.shown["why"]) == (place.candidate.item, "ranked", place.why)
    again = opened("queue")
    assert len(again.dataframe[0].value) == len(first) - 1
    assert "ranked **1 of 1" in texts(again)
