"""A small dataset of each format that comes in: a real one where the repository has it, else one made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from episode_samples import sample_episode
from test_episodes_aloha_hdf5 import JPEGS, made
from transition_samples import authors_episode, hil_serl, write

from episodes.formats.exporting import Leaving, export_dataset
from episodes.store import EpisodeStore

DATA = Path(__file__).parent / "data"
REAL = {
    "lerobot_v2": "lerobot_v21_bridge",
    "lerobot_v3": "lerobot_v30_bridge",
    "rlds": "octo_bridge_rlds",
    "robosuite_hdf5": "robosuite_lift_hdf5",
    "rosbag1": "baxter_rosbag1",
    "seed_json": "seed_json",
    "columns": "baxter_introspection_csv",
}


def dataset(format: str, folder: Path) -> Path:
    """Make a dataset of the format at `folder`; its mapping is `mapping.toml` where it needs one."""
    if format in REAL:
        shutil.copytree(DATA / REAL[format], folder)
    elif format == "robomimic_hdf5":
        folder.mkdir(parents=True)
        exported(folder / "demo.hdf5", "robomimic")
    elif format == "aloha_hdf5":
        made(folder / "episode_0.hdf5")
        made(folder / "episode_1.hdf5", observations__images__cam_high=np.stack([np.frombuffer(JPEGS[0], "u1")] * 5))
    elif format == "transition_pickle":
        hil_serl(folder)
        write(folder / "buffer" / "transitions_000000.pkl", authors_episode(1, 4, success=True))
    return folder


def exported(destination: Path, format: str) -> None:
    """Two episodes as an export writes them."""
    store = EpisodeStore(destination.with_name("store"))
    leaving = [Leaving(episode_id=store.write(sample_episode(seed, length=5))) for seed in range(2)]
    export_dataset(store, destination, leaving, format=format)


def mapping_of(folder: Path) -> Path | None:
    """Its mapping, where it has one."""
    path = folder / "mapping.toml"
    return path if path.exists() else None
