"""The composition root: where the graph meets a workspace, and the command line."""
