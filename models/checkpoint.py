"""Weights on disk: one safetensors file and one canonical JSON beside it. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from episodes.errors import IntegrityError

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save(directory: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> str:
    """Write both files and return the model's hash (16 hex digits over weights and config)."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, directory / WEIGHTS)
    (directory / CONFIG).write_text(json.dumps(config, sort_keys=True, indent=1, allow_nan=False))
    return model_hash(directory)


def load(directory: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read both files; `kind` must be what the config says it is."""
    try:
        config = json.loads((directory / CONFIG).read_text())
        tensors = load_file(directory / WEIGHTS)
    except (OSError, ValueError, RuntimeError) as error:
        raise IntegrityError(f"no readable model in {directory.name} ({error}); materialize it again") from error
    except Exception as error:  # safetensors raises its own type, which it does not export in its typed API
        if type(error).__name__ != "SafetensorError":
            raise
        raise IntegrityError(f"the weights in {directory.name} are damaged ({error}); materialize it again") from error
    if config.get("kind") != kind:
        raise IntegrityError(f"{directory.name} holds a {config.get('kind')} model, not {kind}; point to the right one")
    return tensors, config


def load_state(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], prefix: str) -> None:
    """Fill `module` from the tensors under `prefix`; a missing or extra tensor is refused."""
    state = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise IntegrityError(f"the checkpoint does not fit the network at {prefix!r} ({error}); train again") from error


def prefixed(module: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """A module's tensors under `prefix`."""
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def model_hash(directory: Path) -> str:
    """16 hex digits over the two files."""
    digest = hashlib.blake2b(digest_size=8)
    for name in (CONFIG, WEIGHTS):
        digest.update((directory / name).read_bytes())
    return digest.hexdigest()
