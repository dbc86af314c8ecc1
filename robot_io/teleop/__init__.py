"""The person's devices: a SpaceMouse or the keyboard to drive with, and the keys that judge an episode."""
