"""The verbs of `regrasp`, a frozen dataclass each: its fields are its flags, `run` does it and returns an exit code."""
