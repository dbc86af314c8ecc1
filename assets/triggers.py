"""What the trigger would have said at each recorded step."""

from __future__ import annotations

import polars as pl

from assets import inputs, plots
from assets.graph import stage
from assets.making import Made, Work


@stage("triggers/curves")
def curves(work: Work) -> Made:
    """One Parquet file, named by the intervention model, with a row for every step of the session."""
    from models.checkpoint import model_hash
    from models.intervention import InterventionModel
    from models.sidecars import trigger_frame
    from models.trigger import Trigger

    place = work.upstream("models/intervention")
    intervention, trigger, value = InterventionModel.load(place), Trigger.load(place), inputs.value_model(work)
    frames = [
        trigger_frame(episode, values, intervention.curves(value, episode, values), trigger)
        for episode, values in inputs.judged(work, work.partition)
    ]
    table = pl.concat(frames) if frames else pl.DataFrame(schema=inputs.TRIGGER_SCHEMA)
    table.write_parquet(work.out / f"{model_hash(place)}.parquet")
    alarmed = table.filter(pl.col("trigger"))["episode_id"].n_unique()
    lines = {"score": [frame["score"].to_numpy() for frame in frames]}
    return Made(
        metadata={"episodes": len(frames), "steps": len(table), "alarmed": alarmed},
        plots={"scores": plots.curves(lines, "score")},
    )
