"""The benchmark's page: curves and table of finished runs, and an episode of a run with its rescues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from app_pages import SCRIPT, drawn, served, texts
from app_workspace import STEPS, STUCK, TASK, episode
from model_samples import CONFIG, step_data
from streamlit.testing.v1 import AppTest
from test_benchmark_table import record, training

from episodes.record import ActionSource
from episodes.store import EpisodeStore
from labeling_app import app
from labeling_app.benchmark import RunName, Runs, potential, schedules, value_curve
from labeling_app.data import Library
from labeling_app.figures import watch_figure
from labeling_app.learning import colours_of, learning_figure
from models.sealed import write_sealed
from models.value_training import fit_value
from robot_io.benchmark.summary import write_summary

RUN = RunName(TASK, "hil_serl_regrasp", 0)
GOAL_STEP = 30


def run(root: Path, name: RunName = RUN) -> list[str]:
    """A finished run of two episodes, the second with a trigger, a recovery and a takeover; returns their ids."""
    place = root / "benchmark" / "table" / name.task / name.method / str(name.seed)
    store = EpisodeStore(place)
    first = store.write(replace(episode(2 * name.seed), session="training", images={}, cameras={}))
    source = np.full(STEPS, ActionSource.POLICY, np.uint8)
    source[STUCK[0] : STUCK[0] + 8], source[STUCK[1] :] = ActionSource.RECOVERY, ActionSource.HUMAN
    events = (
        {"t": STUCK[0], "kind": "trigger", "value": 0.4, "score": 1.2, "threshold": 1.0},
        {
            "t": STUCK[0],
            "kind": "recovery",
            "item": f"{first}:10>{first}:{GOAL_STEP}",
            "goal_value": 0.7,
            "similarity": 0.8,
        },
        {"t": STUCK[0] + 8, "kind": "recovery_end", "reason": "gave_up", "to": "human"},
        {"t": STUCK[1], "kind": "takeover", "reason": "stall", "source": "policy"},
    )
    rescued = replace(episode(2 * name.seed + 1), session="training", images={}, cameras={}, events=events)
    second = store.write(replace(rescued, action_source=source))
    (place / "workspace.json").write_text('{"schema_version": 1}')
    rows = [
        replace(training(0, human=0), episode_id=first),
        replace(training(1, human=22), episode_id=second, recoveries=1),
    ]
    record(*name, training=rows).write(place)
    return [first, second]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "workspace.json").write_text('{"schema_version": 1}')
    return served(tmp_path, monkeypatch)


def opened() -> AppTest:
    return drawn(AppTest.from_string(SCRIPT.format(screen="benchmark"), default_timeout=30).run())


def test_without_a_run_the_page_names_the_command(root: Path) -> None:
    assert "regrasp benchmark run" in texts(opened())


def test_the_page_is_in_the_menu_only_where_runs_are(root: Path) -> None:
    assert app.pages_of(root) == app.PAGES
    run(root)
    assert schedules(root) == ["table"]
    assert app.pages_of(root) == (*app.PAGES, app.BENCHMARK)


def test_table_and_curves_are_drawn(root: Path) -> None:
    run(root)
    assert "not computed yet" in texts(opened())
    write_summary(root / "benchmark" / "table")
    page = opened()
    assert not page.error
    table = page.dataframe[0].value
    assert table["method"].to_list() == [RUN.method] * 2
    assert table["task"].to_list() == [TASK, f"mean of {TASK}"]
    assert table["sr"][0].startswith("0.75 [")
    assert table["takeovers"][0] == "stall 1"


def test_an_episode_is_watched_and_its_goal_is_one_click_away(root: Path) -> None:
    first, second = run(root)
    page = opened()
    assert page.session_state["watched"] == first
    assert "Nothing happened" in texts(page)
    page = drawn(page.button(key="key-j").click().run())
    assert page.session_state["watched"] == second
    events = page.dataframe[-1].value
    assert events["what"].to_list() == ["trigger", "recovery", "recovery end", "takeover"]
    page = drawn(page.button(key=f"goal-{first}:{GOAL_STEP}").click().run())
    assert (page.session_state["watched"], page.session_state["t"]) == (first, GOAL_STEP)


def test_another_run_shows_its_own_episodes(root: Path) -> None:
    run(root)
    other = run(root, RUN._replace(seed=1))
    page = opened()
    page = drawn(page.selectbox(key="benchmark-run").select_index(1).run())
    assert page.session_state["watched"] == other[0]


def test_rescues_stand_at_their_step_and_bands_where_somebody_helped(root: Path) -> None:
    _, second = run(root)
    library = Library(Runs(root / "benchmark" / "table").place(RUN))
    figure = watch_figure(library.episode(second), cursor=3)
    marks = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data[:2]}
    assert marks == {"trigger": ([STUCK[0]], [0.4]), "retrieved goal": ([STUCK[0]], [0.7])}
    bands = [(shape.x0 + 0.5, shape.x1 + 0.5) for shape in figure.layout.shapes if shape.type == "rect"]
    assert bands == [(STUCK[0], STUCK[0] + 8), (STUCK[1], STEPS)]


def test_the_potential_is_shown_where_it_was_noted(root: Path) -> None:
    first, second = run(root)
    place = Runs(root / "benchmark" / "table").place(RUN)
    noted = place / "derived" / "privileged" / "training"
    noted.mkdir(parents=True)
    pl.DataFrame({"frame_index": [1, 0], "phi": [-0.1, -0.2]}).write_parquet(noted / f"{first}.parquet")
    library = Library(place)
    known = potential(library, first)
    assert known is not None
    assert known["phi"].to_list() == [-0.2, -0.1]
    assert potential(library, second) is None
    drawn_too = watch_figure(library.episode(first), cursor=0, potential=known)
    assert "potential φ" in [trace.name for trace in drawn_too.data]


def test_values_are_of_the_round_in_force(root: Path) -> None:
    """The curve of an episode before the first fitted round is not known; a refused round changes nothing."""
    place = root / "run"
    data = [step_data(seed, success=seed % 2 == 0) for seed in range(20)]
    model = fit_value(data, CONFIG)
    model.save(place / "derived" / "rounds" / "1" / "value")
    for number, told in enumerate([{"refused": "too few"}, {}, {"refused": "too few"}]):
        write_sealed(place / "derived" / "rounds" / str(number) / "round.json", {"from_step": 100 * number, **told})
    names = model.proprio_names
    recorded = replace(
        episode(0),
        images={},
        cameras={},
        fps=10.0,
        proprio=np.tile(np.linspace(0, 1, STEPS, dtype=np.float32)[:, None], (1, len(names))),
        proprio_names=names,
        proprio_units=("1",) * len(names),
        ee_pose=np.tile([0.4, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0], (STEPS, 1)),
        executed_action=np.zeros((STEPS, 2), np.float32),
    )
    episode_id = EpisodeStore(place).write(recorded)
    (place / "workspace.json").write_text('{"schema_version": 1}')
    library = Library(place)
    assert value_curve(library, episode_id, 99) is None
    curve = value_curve(library, episode_id, 250)
    assert curve is not None
    assert len(curve) == STEPS
    figure = watch_figure(library.episode(episode_id), cursor=0, curve=curve)
    assert "value V" in [trace.name for trace in figure.data]


def test_a_line_a_run_and_a_colour_a_method() -> None:
    rows = [("a", 0, 0, 0.1), ("a", 0, 9, 0.2), ("a", 1, 0, 0.3), ("b", 0, 0, 0.4)]
    curve = pl.DataFrame(rows, schema=["method", "seed", "step", "sr"], orient="row")
    figure = learning_figure(curve, "sr", "SR", colours_of(["b", "a"]))
    assert [(t.name, list(t.y), t.showlegend) for t in figure.data] == [
        ("a", [0.1, 0.2], True),
        ("a", [0.3], False),
        ("b", [0.4], True),
    ]
    assert figure.data[0].line.color == figure.data[1].line.color != figure.data[2].line.color
