"""The asset graph: what is made of the recordings, stage by stage, each a thin Dagster asset over a pure function."""
