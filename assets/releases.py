"""The release candidate, made here; and the champions, which people make: the graph only observes the ledger."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import dagster as dg

from assets import inputs
from assets.graph import stage
from assets.making import Made, Maker, Work
from assets.manifest import FrozenBy, Manifest, read_manifest
from assets.stages import STAGE, STAGES
from assets.versions import hashed, upstream
from episodes.workspace import Workspace

PARTS = {
    "value": "values/model",
    "trigger": "models/intervention",
    "memory": "memory/recovery",
    "recovery": "models/recovery",
    "policy": "models/policy",
}
"""part of a release -> the stage it comes from"""
FOR_PEOPLE = (".png", ".parquet")
"""pictures and tables of a stage, which no robot reads"""


@stage("releases/candidate")
def candidate(work: Work) -> Made:
    """Bundle what a robot needs. The same models give the same release: its date is theirs."""
    from releases.bundle import build

    read = upstream(work.snapshot, work.stage, work.task)
    made = {dep.key: manifest for dep, of in read if (manifest := read_manifest(work.workspace, dep, of))}
    parts = _staged(work, made)
    release = build(
        work.workspace.root,
        work.task,
        parts=parts,
        parents=_parents(work, made),
        evaluation=json.loads((work.upstream("reports/offline") / "report.json").read_text()),
        features=_features(work, made["values/model"].config["value"]["cameras"]),
        created=max(manifest.created for manifest in made.values()),
    )
    shutil.rmtree(work.out / "parts")
    (work.out / "release.json").write_text(json.dumps({"version": release.version}))
    told = {"version": release.version, "files": len(release.manifest.files), "parts": ", ".join(parts)}
    told |= {f"{kind} freeze": f"{freeze.name}, log head {freeze.head_seq}" for kind, freeze in freezes(work).items()}
    return Made(metadata=told, elsewhere=(release.directory,))


def _staged(work: Work, made: dict[str, Manifest]) -> dict[str, Path]:
    """Copies of what the models saved, without pictures, manifests and tables for people."""
    parts = {}
    for part, key in PARTS.items():
        if key in made:
            parts[part] = work.out / "parts" / part
            parts[part].mkdir(parents=True)
            for name in made[key].files:
                path = work.workspace.root / name
                if path.suffix not in FOR_PEOPLE:
                    shutil.copyfile(path, parts[part] / path.name)
    return parts


def _parents(work: Work, made: dict[str, Manifest]) -> dict[str, Any]:
    """What the bundle was made from; the freezes are those that outcomes, labels and pairs were read with."""
    return {
        "data_versions": {key: manifest.data_version for key, manifest in made.items()},
        "episode_freeze": inputs.freeze_name(work, "episodes/decided"),
        "label_freeze": inputs.freeze_name(work, "labels/audited"),
        "freezes": {kind: freeze.model_dump() for kind, freeze in freezes(work).items()},
        "value_model": made["values/model"].metadata["model"],
    }


def freezes(work: Work) -> dict[str, FrozenBy]:
    """kind -> the freeze that the task's stages were made with, each with the audit log's head in it."""
    readers = (stage for stage in STAGES if stage.freeze)
    found = (read_manifest(work.workspace, stage, work.task) for stage in readers)
    return {made.freeze.kind: made.freeze for made in found if made and made.freeze}


def _features(work: Work, cameras: list[str]) -> dict[str, Any]:
    """What the models read and write, as the robot of the recordings declared it."""
    first = inputs.usable(work)["episode_id"][0]
    episode = work.store.read(first, images=False)
    return {
        "proprio_names": episode.proprio_names,
        "proprio_units": episode.proprio_units,
        "cameras": cameras,
        "image_px": episode.cameras[cameras[0]].height_px if cameras else 0,
        "fps": episode.fps,
        "action_space": dict(episode.action_space),
    }


CHAMPION = dg.AssetSpec(
    ["releases", "champion"],
    deps=[STAGE["releases/candidate"].path],
    group_name="releases",
    description="What people promoted: the release that runs each task on each robot profile.",
    kinds={"ledger"},
)


def _observed() -> dg.AssetsDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.multi_observable_source_asset(specs=[CHAMPION], name="champion")(_champions)


def _champions(context: dg.AssetExecutionContext, maker: dg.ResourceParam[Maker]) -> dg.ObserveResult:
    """Read the ledger; moving the alias is for people, in `regrasp release promote`."""
    from releases.ledger import champion, history

    root = Workspace.open(maker.root).root
    places = sorted({(move.profile, move.task) for move in history(root)})
    standing = {f"{task} on {profile}": champion(root, profile, task) or "none" for profile, task in places}
    return dg.ObserveResult(metadata=standing, data_version=dg.DataVersion(hashed(standing)))


champions = _observed()
