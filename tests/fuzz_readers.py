"""Every reader against files that are spoiled at random: an episode or a sentence, never anything else.

`python tests/fuzz_readers.py [--seconds 600] [--formats NAME ...] [--seed 0]`, not a part of the tests. Each case runs
in a process of its own, with limits on memory and time. What ends otherwise than by a `RegraspError` is kept under
`--findings`, one folder for each place in the code, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random

from fuzz_mutations import spoil
from import_samples import dataset, mapping_of

from episodes.errors import RegraspError
from episodes.formats.registry import open_dataset, readers
from episodes.formats.source import ImportMapping, read_mapping
from episodes.identity import episode_id
from episodes.validation import validate

MOST_EPISODES = 3
MEMORY_BYTES = 4 << 30
LIMIT_S = 60
NOT_DATA = {"SOURCE.md", "LICENSE", "OCTO_LICENSE", "mapping.toml"}


def fuzz(format: str, seconds: float, seed: int, findings: Path) -> tuple[int, set[str]]:
    """(cases, places where one went wrong) of one reader."""
    random, cases, found, end = Random(seed), 0, set[str](), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as scratch:
        whole = dataset(format, Path(scratch) / "whole")
        mapping = read_mapping(mapping_of(whole))
        files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file() and p.name not in NOT_DATA)
        assert _outcome(format, whole, mapping) == "", f"{format} does not read its own sample"
        while time.monotonic() < end:
            spoiled = Path(scratch) / "spoiled"
            shutil.copytree(whole, spoiled)
            spoil(spoiled / random.choice(files), random)
            place, cases = _outcome(format, spoiled, mapping), cases + 1
            if place and place not in found:
                found.add(place)
                shutil.copytree(spoiled, findings / format / f"{len(found):03d}", dirs_exist_ok=True)
                print(f"{format}: {place} (kept in {findings / format / f'{len(found):03d}'})", flush=True)
            shutil.rmtree(spoiled)
    return cases, found


def _outcome(format: str, path: Path, mapping: ImportMapping) -> str:
    """What went wrong with the dataset, in a process of its own; nothing where it was read or refused."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        os.write(writable, _read(format, path, mapping).encode()[:4000])
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return f"killed by {signal.Signals(status).name}" if status else said


def _read(format: str, path: Path, mapping: ImportMapping) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what decoders say about damage
    try:
        source = open_dataset(path, format, mapping, None)
    except RegraspError:
        return ""
    except BaseException as error:
        return _place(error)
    for name in source.names[:MOST_EPISODES]:
        try:
            episode = source.read(name)
            if not any(defect.severity == "error" for defect in validate(episode)):
                episode_id(episode)
        except RegraspError:
            continue
        except BaseException as error:
            return _place(error)
    source.close()
    return ""


def _place(error: BaseException) -> str:
    """The exception, and the last line of ours that it passed."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/episodes/" in frame.filename]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].line}" if ours else "?"
    return f"{type(error).__name__}: {str(error)[:200]} at {where}"


def main() -> int:
    parser = argparse.ArgumentParser(description="The readers against spoiled files.")
    parser.add_argument("--seconds", type=float, default=600, help="for each reader")
    parser.add_argument("--formats", nargs="+", choices=list(readers()), default=list(readers()))
    parser.add_argument("--seed", type=int, default=None, help="another one each time by default")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    arguments = parser.parse_args()
    seed = Random().randrange(2**32) if arguments.seed is None else arguments.seed
    wrong = 0
    for format in arguments.formats:
        cases, found = fuzz(format, arguments.seconds, seed, arguments.findings)
        wrong += len(found)
        print(f"{format}: {cases} spoiled datasets, {len(found)} findings (seed {seed})", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
