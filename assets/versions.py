"""What is stale, and why: a pure function of episode ids, freezes, settings and code; nothing is run to know it.

    version(stage, p) = blake2b(key, p, code version, config digests, freeze hash, versions of what it reads)

The root of everything is the list of a session's episode ids, which are hashes of content. The freeze counts with the
decisions about the partition's own episodes only: a label corrected in one task makes nothing of another task stale.
No path and no time goes in, so a copied or moved workspace has nothing stale. A recording that could not be read is the
exception to ids: the version notes the file's bytes, and where they are others by now the verdict on it is stale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from assets.manifest import Manifest, read_manifest
from assets.settings import digest
from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES, Stage

VersionOf = Callable[[Stage, str], str]
Place = tuple[str, str]
"""stage key, partition"""
MISSING = "missing"
EPISODES, CODE, FREEZE, NOTES = "episodes", "code", "freeze", "simulator's notes"
DAMAGED = "damaged recording"
VALIDATED = "episodes/validated"


@dataclass(frozen=True, slots=True)
class Version:
    """The version of a stage's output and the ingredients it was computed from."""

    digest: str
    inputs: Mapping[str, str]
    """`code`, `freeze`, `episodes`, `simulator's notes`, `settings <name>`, `<stage key> <partition>`,
    `damaged recording <episode id>` -> its version"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """One partition of one stage that is not what it should be."""

    stage: Stage
    partition: str
    causes: tuple[str, ...]
    """first causes, in words: `label freeze demo`, `new session s3`"""
    waits: bool = False
    """a check stopped something that it reads, directly or not"""


def compose(snapshot: Snapshot, stage: Stage, partition: str, version_of: VersionOf) -> Version:
    """The version of a stage, given the versions of the stages it reads."""
    inputs = {CODE: stage.code_version}
    inputs |= {f"settings {name}": digest(name, snapshot.settings) for name in stage.configs}
    if stage.freeze:
        inputs[FREEZE] = _freeze_version(snapshot, stage, partition)
    if stage.notes:
        inputs[NOTES] = hashed(snapshot.notes(partition))
    if stage.collection:
        inputs[EPISODES] = _collected_version(snapshot, stage, partition)
    elif not stage.deps:
        inputs[EPISODES] = hashed(snapshot.ids[partition])
    else:
        read = upstream(snapshot, stage, partition)
        inputs |= {f"{dep.key} {of}": version_of(dep, of) for dep, of in read}
    return Version(hashed([stage.key, partition, inputs]), inputs)


def noting(version: Version, snapshot: Snapshot, stage: Stage, partition: str, damaged: Iterable[str]) -> Version:
    """The version with the bytes, as they are now, of recordings that could not be read."""
    noted = {f"{DAMAGED} {episode_id}": snapshot.bytes_of(episode_id) for episode_id in damaged}
    inputs = {**version.inputs, **noted}
    return Version(hashed([stage.key, partition, inputs]), inputs) if noted else version


def _wanted(snapshot: Snapshot, stage: Stage, partition: str, version_of: VersionOf) -> Version:
    """The version a stage should have now: what could not be read when it was made is looked at again."""
    version = compose(snapshot, stage, partition, version_of)
    manifest = read_manifest(snapshot.workspace, stage, partition) if stage.key == VALIDATED else None
    names = (name.rpartition(" ") for name in (manifest.inputs if manifest else ()))
    damaged = [of for what, _, of in names if what == DAMAGED and of in snapshot.ids[partition]]
    return noting(version, snapshot, stage, partition, damaged)


def upstream(snapshot: Snapshot, stage: Stage, partition: str) -> Iterator[tuple[Stage, str]]:
    """Each stage and partition that a partition of `stage` reads: its own task's, all sessions of it if need be."""
    task = snapshot.task(stage.partition, partition)
    for key in stage.reads(snapshot.settings):
        dep = STAGE[key]
        if dep.partition == "task":
            partitions: Sequence[str] = [task]
        else:
            partitions = [partition] if stage.partition == "session" else snapshot.sessions(task)
        for of in partitions:
            if snapshot.applies(dep, of):
                yield dep, of


def wanted(snapshot: Snapshot) -> VersionOf:
    """The versions everything should have now, remembered for as long as the snapshot holds."""
    known: dict[Place, str] = {}

    def version_of(stage: Stage, partition: str) -> str:
        place = (stage.key, partition)
        if place not in known:
            known[place] = _wanted(snapshot, stage, partition, version_of).digest
        return known[place]

    return version_of


def standing(snapshot: Snapshot) -> VersionOf:
    """The versions that are there, whatever they should be: what a stage made now would be made of."""

    def version_of(stage: Stage, partition: str) -> str:
        manifest = read_manifest(snapshot.workspace, stage, partition)
        return manifest.data_version if manifest else MISSING

    return version_of


def is_whole(snapshot: Snapshot, manifest: Manifest) -> bool:
    """True where all files of a manifest are there; their bytes are not read."""
    return all((snapshot.workspace.root / name).exists() for name in manifest.files)


@dataclass(slots=True)
class Survey:
    """All stages and partitions of a workspace: which are stale, which are blocked by a check."""

    snapshot: Snapshot
    stale: list[Stale] = field(default_factory=list)
    """in topological order"""
    blocked: dict[Place, Manifest] = field(default_factory=dict)
    """made as it should be, but a check keeps others from reading it"""
    places: list[Place] = field(default_factory=list)
    """everything there is to be, in topological order"""

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.places)


def survey(snapshot: Snapshot) -> Survey:
    """Compare every manifest with the version wanted now."""
    result, version_of = Survey(snapshot), wanted(snapshot)
    causes: dict[Place, tuple[str, ...]] = {}
    stopped: set[Place] = set()
    for stage in STAGES:
        for partition in snapshot.partitions(stage.partition):
            if not snapshot.applies(stage, partition):
                continue
            result.places.append((stage.key, partition))
            manifest = read_manifest(snapshot.workspace, stage, partition)
            waits = any((dep.key, of) in stopped for dep, of in upstream(snapshot, stage, partition))
            if waits:
                stopped.add((stage.key, partition))
            why: tuple[str, ...] = ()
            if manifest and manifest.data_version == version_of(stage, partition) and is_whole(snapshot, manifest):
                if manifest.blocked_by:
                    result.blocked[stage.key, partition] = manifest
                    stopped.add((stage.key, partition))
                why = _to_be_read_again(snapshot, stage, partition, manifest)
                if not why:
                    continue
            why = why or _causes(snapshot, stage, partition, manifest, version_of, causes)
            causes[stage.key, partition] = why
            result.stale.append(Stale(stage=stage, partition=partition, causes=why, waits=waits))
    return result


def _to_be_read_again(snapshot: Snapshot, stage: Stage, partition: str, manifest: Manifest) -> tuple[str, ...]:
    """Why recordings with the ids they had are looked at again: a damaged file, and one put back, keep their names."""
    if stage.key != "episodes/raw" or not (manifest.blocked_by or partition in snapshot.unreadable):
        return ()
    return (f"recordings of {partition} could not be read",)


def _causes(
    snapshot: Snapshot,
    stage: Stage,
    partition: str,
    manifest: Manifest | None,
    version_of: VersionOf,
    known: Mapping[Place, tuple[str, ...]],
) -> tuple[str, ...]:
    """First causes: what changed here, and what made the stages it reads stale."""
    inherited = [cause for dep, of in upstream(snapshot, stage, partition) for cause in known.get((dep.key, of), ())]
    if manifest is None:
        own = [f"new session {partition}"] if stage.key == "episodes/raw" else []
        return tuple(dict.fromkeys([*own, *inherited])) or ("never made",)
    inputs = _wanted(snapshot, stage, partition, version_of).inputs
    own = [
        _words(snapshot, stage, partition, name)
        for name in sorted({*inputs, *manifest.inputs})
        if inputs.get(name) != manifest.inputs.get(name) and not _explained(name, known)
    ]
    return tuple(dict.fromkeys([*own, *inherited])) or ("its files are missing",)


def _explained(name: str, known: Mapping[Place, tuple[str, ...]]) -> bool:
    key, _, partition = name.partition(" ")
    return (key, partition) in known


def _words(snapshot: Snapshot, stage: Stage, partition: str, name: str) -> str:
    """One changed ingredient in words."""
    if name == FREEZE:
        made = snapshot.freezes.get(stage.freeze or "")
        return f"{(stage.freeze or '').removesuffix('s')} freeze {made.name if made else 'gone'}"
    if name.startswith(DAMAGED):
        return f"{name} is another file now"
    key, _, of = name.partition(" ")
    if key in STAGE:
        gone = of not in snapshot.partitions(STAGE[key].partition)
        return f"session {of} is gone" if gone else f"{key} of {of} was made again"
    return {
        EPISODES: f"episodes of {partition} changed",
        CODE: f"code of {stage.key} changed",
    }.get(name, f"{name} changed")


def _freeze_version(snapshot: Snapshot, stage: Stage, partition: str) -> str:
    made = snapshot.freezes.get(stage.freeze or "")
    if made is None:
        return "none"
    return hashed(decisions_for(made.decisions, snapshot.episodes(stage.partition, partition)))


def _collected_version(snapshot: Snapshot, stage: Stage, partition: str) -> str:
    """The episodes of one collection with what was decided about them."""
    ids = snapshot.collected(partition, stage.collection)
    made = snapshot.freezes.get("episodes")
    return hashed([ids, decisions_for(made.decisions, ids) if made else {}])


def decisions_for(decisions: Mapping[str, Mapping[str, object]], ids: Sequence[str]) -> dict[str, object]:
    """The decisions about these episodes; a label's or pair's id starts with its episode's."""
    wanted_ids = set(ids)
    return {item: value for item, value in decisions.items() if item.partition(":")[0] in wanted_ids}


def hashed(content: object) -> str:
    """16 hex digits of canonical JSON."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
