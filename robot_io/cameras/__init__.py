"""Cameras: the newest frame of each, with when it was taken and whether it can be believed."""
