"""One JSON an episode with its frames beside it, in and out."""
