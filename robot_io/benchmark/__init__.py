"""The benchmark: methods that learn on the simulated robot with the same scripted human, and what each run records."""
