"""What the app's server takes for an interaction on the page Trigger labels: `python -m speed.app`.

A workspace is made with one episode of 2,000 steps, two cameras and six curves, and one of 10^6 curve points is drawn
beside it; 200 and 100,000 episodes are listed. Times are those of the CPU: the page is driven by Streamlit's own test
runner, and counted is the thread that runs it, with everything it sends. The peer is the same figure with every point,
as plain plotly sends it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import polars as pl
from streamlit.testing.v1 import AppTest

from assets.episodes import ATTRIBUTES, TABLE
from episodes.images import encode_jpeg
from episodes.record import ActionSource, CameraInfo, EncodedFrames, Episode, Outcome
from episodes.store import EpisodeStore
from labeling_app.data import Library
from labeling_app.episode_table import LISTED
from labeling_app.figures import curves_figure
from labeling_app.rows import Row, line, stacked
from speed.material import many_names
from speed.rounds import compare, timed

STEPS, POINTS, PX, ROUNDS = 2_000, 1_000_000, 256, 15
TASK, MODEL = "tube_insertion", "0123456789ab"
PAGE = """
import time
import streamlit as st
from labeling_app import desk
from labeling_app.screens import trigger_labels
def body():
    desk.adopt_link()
    desk.sidebar()
    trigger_labels.page()
began = time.thread_time()
desk.explained(body)()
st.session_state.taken = time.thread_time() - began
"""


def main() -> None:
    """One JSON line a stage."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "workspace"
        (episode_id,) = build(root)
        os.environ["REGRASP_ROOT"] = str(root)
        sys.argv = ["app"]
        library = Library(root)
        for told in (interactions(), figure(library, episode_id), million(), scrub(library, episode_id)):
            print(json.dumps(told), flush=True)
        for count, tables in ((200, False), (100_000, True)):
            print(json.dumps(listing(Path(place) / str(count), count, tables=tables)), flush=True)


def build(root: Path, *, episodes: int = 1, labels: int = 1) -> list[str]:
    """A workspace of long episodes with their curves and so many labels each; returns the ids of the episodes."""
    store, directory = EpisodeStore(root), root / "derived"
    root.mkdir(parents=True)
    (root / "workspace.json").write_text('{"schema_version": 1}')
    ids = [store.write(_episode(number)) for number in range(episodes)]
    steps = [{"episode_id": each, "frame_index": t, "stagnation": False} for each in ids for t in range(STEPS)]
    spans = [(each, start, start + 40) for each in ids for start in np.linspace(50, STEPS - 90, labels).astype(int)]
    mined = [
        {"label_id": f"{each}:{start}-{stop}", "episode_id": each, "session": "s", "start": start, "stop": stop}
        for each, start, stop in spans
    ]
    seen = [curves(STEPS).with_columns(episode_id=pl.lit(each), frame_index=pl.int_range(STEPS)) for each in ids]
    for path, table in (
        (f"values/curves/s/{MODEL}.parquet", pl.concat(seen)),
        (f"labels/stagnation/{TASK}/labels.parquet", pl.DataFrame(mined).with_columns(rule=pl.lit("plateau"))),
        (f"labels/stagnation/{TASK}/frames.parquet", pl.DataFrame(steps)),
    ):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(directory / path)
    return ids


def _episode(number: int) -> Episode:
    """2,000 steps before two cameras."""
    picture = encode_jpeg(np.random.default_rng(number).integers(0, 255, (PX, PX, 3), np.uint8))
    frames = {name: EncodedFrames.pack([picture] * STEPS, "jpeg", PX, PX) for name in ("third", "wrist")}
    return Episode(
        task=TASK,
        instruction="insert the tube",
        session="s",
        time_s=np.arange(STEPS) / 10,
        action_source=np.full(STEPS, ActionSource.POLICY, np.uint8),
        fps=10,
        success=Outcome.FAILURE,
        cameras={name: CameraInfo(height_px=PX, width_px=PX) for name in frames},
        images=frames,
    )


def curves(steps: int) -> pl.DataFrame:
    """Six curves of `steps` points."""
    random = np.random.default_rng(1)
    value = np.clip(np.linspace(0, 1, steps) + random.normal(0, 0.02, steps), 0, 1)
    names = {"value": value, "value_lo": value - 0.1, "value_hi": value + 0.1, "success_score": value * 0.9}
    return pl.DataFrame(names | {"stall_probability": 1 - value, "risk": 0.1 * (1 - value)})


def interactions() -> dict[str, Any]:
    """Moving the cursor by one step, through the whole page."""
    app = AppTest.from_string(PAGE, default_timeout=60)
    app.session_state["name"] = "Ada"
    app.run()
    assert not app.exception, app.exception
    taken = 1000 * np.array([_click(app) for _ in range(4 * ROUNDS)])[5:]
    return {"stage": "an interaction, ms", "n": STEPS, **_told(taken)}


def _click(app: AppTest) -> float:
    app.button(key="key-Right").click().run()
    return float(app.session_state["taken"])


def figure(library: Library, episode_id: str) -> dict[str, Any]:
    """The figure of an episode: built, written as JSON, and how large that is."""
    curve, source = library.curves(TASK), library.episode(episode_id).action_source
    assert curve is not None
    others = {"another": curve["value"].to_numpy()}
    run = _written(lambda: curves_figure(curve, source, cursor=7, labels=[], others=others))
    taken = 1000 * np.array([timed(run) for _ in range(2 * ROUNDS)])[1:]
    return {"stage": "figure of an episode, ms", "n": STEPS, **_told(taken), "bytes": len(run())}


def million() -> dict[str, Any]:
    """One curve of a million points beside plotly with all of them, and six of them in one figure."""
    table = curves(POINTS)
    values = table["value"].to_numpy().astype(np.float32)
    ours = _written(lambda: stacked([Row("value", 190, [line("value", values)])], POINTS))
    plain = _written(lambda: go.Figure(go.Scatter(y=values)))
    sizes = {"bytes": len(ours()), "bytes_of_plotly": len(plain())}
    sides = {"ours": lambda: timed(ours), "plotly": lambda: timed(plain)}
    six = _written(lambda: curves_figure(table, None, cursor=0, others={"another": values}))
    taken = 1000 * np.array([timed(six) for _ in range(ROUNDS)])[1:]
    told = {"stage": "figure of six curves, ms", "n": POINTS, **_told(taken), "bytes": len(six())}
    print(json.dumps(told), flush=True)
    return compare("10^6 points", POINTS, sides, rounds=ROUNDS, **sizes)


def _told(taken: np.ndarray) -> dict[str, float]:
    median, tail = (round(float(np.quantile(taken, share)), 2) for share in (0.5, 0.95))
    return {"median": median, "p95": tail}


def scrub(library: Library, episode_id: str) -> dict[str, Any]:
    """The stored bytes of the frames of both cameras at a random step."""
    steps = np.random.default_rng(2).integers(0, STEPS, 200).tolist()
    taken = [timed(lambda t=t: [library.frame(episode_id, name, t) for name in ("third", "wrist")]) for t in steps]  # type: ignore[misc]
    return {"stage": "frames of a step, ms", "n": len(steps), "p95": round(1000 * float(np.quantile(taken, 0.95)), 2)}


def listing(root: Path, count: int, *, tables: bool) -> dict[str, Any]:
    """The list of a task by a server that has just begun: out of the files, or of the tables of `episodes/raw`."""
    store = EpisodeStore(many_names(root, count))
    (root / "workspace.json").write_text('{"schema_version": 1}')
    for session in store.sessions() if tables else ():
        ids = store.ids(session=session)
        attributes = store.attributes(ids[0])
        listed = [{**{name: attributes[name] for name in ATTRIBUTES}, "episode_id": each} for each in ids]
        table = root / "derived" / LISTED / session / TABLE
        table.parent.mkdir(parents=True)
        pl.DataFrame(listed).write_parquet(table)
    (task,) = store.tasks()
    taken = np.array([timed(lambda: Library(root).episodes(task, {})) for _ in range(ROUNDS // 3)])
    return {"stage": "episodes listed, s", "n": len(Library(root).episodes(task, {})), **_told(taken)}


def _written(build: Callable[[], go.Figure]) -> Callable[[], str]:
    return lambda: plotly.io.to_json(build(), validate=False)


if __name__ == "__main__":
    main()
