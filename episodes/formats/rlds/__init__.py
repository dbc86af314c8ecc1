"""RLDS in, without TensorFlow."""
