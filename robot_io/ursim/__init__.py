"""A simulated UR controller: the protocols of a real one in front of the simulated arm, in a process of its own."""
