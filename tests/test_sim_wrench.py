"""The simulated force/torque sensor: tare, bias, noise, one step of delay."""

from __future__ import annotations

import numpy as np

from robot_io.sim.wrench import BIAS_RANGE, NOISE_SD, WrenchSensor


def test_a_push_shows_one_step_later_on_top_of_the_tare() -> None:
    sensor, resting = WrenchSensor(), np.full(6, 5.0)
    sensor.reset(np.random.default_rng(0), resting)
    push = resting + np.array([0, 0, 1000.0, 0, 0, 0])
    readings = [sensor.read(push if t == 1 else resting)[2] for t in range(4)]
    assert np.argmax(readings) == 2
    assert abs(readings[2] - 1000.0) < 10.0
    assert np.allclose(sensor.tared(push), [0, 0, 1000.0, 0, 0, 0])


def test_bias_is_constant_in_an_episode_and_noise_is_white() -> None:
    sensor, biases = WrenchSensor(), []
    for seed in range(40):
        sensor.reset(np.random.default_rng(seed), np.zeros(6))
        readings = np.array([sensor.read(np.zeros(6)) for _ in range(200)])
        assert np.allclose(readings.std(0), NOISE_SD, rtol=0.3)
        biases.append(readings.mean(0))
    spread = np.abs(biases).max(0)
    assert (spread < BIAS_RANGE + NOISE_SD).all()
    assert (spread > BIAS_RANGE / 2).all()
