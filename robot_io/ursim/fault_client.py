"""Speak to the ports of our own of a running simulated controller: a line out, a line of JSON back."""

from __future__ import annotations

import json
import socket
from typing import Any

from episodes.errors import DeviceError, UsageError

FAULT_PORT = 30020
TIMEOUT_S = 5.0


def inject(host: str, fault: str) -> str:
    """Inject a fault by its line, as `silence 2.6`; returns what the controller said.

    Raises `DeviceError` where no simulated controller answers, `UsageError` where it knows no such fault.
    """
    try:
        with socket.create_connection((host, FAULT_PORT), timeout=TIMEOUT_S) as port:
            port.sendall(fault.encode() + b"\n")
            told: dict[str, Any] = json.loads(port.makefile().readline())
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"no simulated controller answers at {host}:{FAULT_PORT} ({error}); start `regrasp ursim --host {host}`"
        ) from error
    if "error" in told:
        raise UsageError(told["error"])
    return "\n".join(f"{name}  {about}" for name, about in told.get("faults", {}).items()) or f"injected: {fault}"
