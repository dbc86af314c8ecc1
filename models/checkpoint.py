"""Weights on disk: one safetensors file and one sealed JSON that holds its hash. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialised

from episodes.errors import IntegrityError
from episodes.workspace import atomic_write
from models.sealed import read_sealed, write_sealed

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save(directory: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> str:
    """Write both files, the config last, and return the model's hash (16 hex digits over weights and config)."""
    weights = serialised({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    atomic_write(directory / WEIGHTS, weights)
    write_sealed(directory / CONFIG, {**config, "weights_sha256": hashlib.sha256(weights).hexdigest()})
    return model_hash(directory)


def load(directory: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read both files; `kind` must be what the config says it is. `IntegrityError` on any changed byte."""
    config = read_sealed(directory / CONFIG)
    try:
        weights = (directory / WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != config.get("weights_sha256"):
            raise IntegrityError(f"{WEIGHTS} in {directory.name} is not what was written; materialize it again")
        tensors = parse(weights)
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"no readable weights in {directory.name} ({error}); materialize it again") from error
    if config.get("kind") != kind:
        raise IntegrityError(f"{directory.name} holds a {config.get('kind')} model, not {kind}; point to the right one")
    return tensors, config


def load_state(modules: Mapping[str, torch.nn.Module], tensors: Mapping[str, torch.Tensor]) -> None:
    """Fill each module from the tensors under its prefix; a missing, extra or misshapen tensor is refused."""
    extra = sorted(name for name in tensors if not name.startswith(tuple(modules)))
    if extra:
        raise IntegrityError(f"the checkpoint holds {extra[0]!r}, which no network here has; train again")
    for prefix, module in modules.items():
        state = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        try:
            module.load_state_dict(state, strict=True)
        except RuntimeError as error:
            fault = " ".join(str(error).split())
            raise IntegrityError(
                f"the checkpoint does not fit the network {prefix!r} ({fault}); train again"
            ) from error


def inputs(directory: Path, tensors: Mapping[str, torch.Tensor], prefix: str) -> int:
    """How many values the network under `prefix` standardises; `IntegrityError` where its mean was not saved."""
    mean = tensors.get(f"{prefix}standardise.mean")
    if mean is None:
        raise IntegrityError(f"{WEIGHTS} in {directory.name} holds no {prefix}standardise.mean; train again")
    return len(mean)


def prefixed(module: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """A module's tensors under `prefix`."""
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def model_hash(directory: Path) -> str:
    """16 hex digits over the two files; `IntegrityError` where one is missing."""
    digest = hashlib.blake2b(digest_size=8)
    for name in (CONFIG, WEIGHTS):
        try:
            digest.update((directory / name).read_bytes())
        except OSError as error:
            raise IntegrityError(f"no {name} in {directory.name}; materialize it again") from error
    return digest.hexdigest()
