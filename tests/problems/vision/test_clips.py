"""Characters bounce off walls and turn as they should, in directions of their own on held-out clips."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import map_coordinates

from evometa.problems.vision.clips import WALL, Motion, bounced, sampled


def test_a_ball_bounces_like_one_that_is_simulated_step_by_step() -> None:
    place, velocity, size, there = np.array([5.0, 9.0]), np.array([0.9, -1.3]), 16, []
    for _ in range(20):
        there.append(place)
        place = place + velocity
        for axis in range(2):
            for wall in (WALL, size - 1 - WALL):
                if (place[axis] - wall) * (1 if wall > WALL else -1) > 0:
                    place[axis], velocity[axis] = 2 * wall - place[axis], -velocity[axis]
    unbounded = np.array([5.0, 9.0]) + np.arange(20)[:, None] * np.array([0.9, -1.3])
    np.testing.assert_allclose(bounced(jnp.asarray(unbounded), size), there, atol=1e-4)


def test_training_and_held_out_motions_have_other_directions() -> None:
    spot = jnp.zeros((11, 11), jnp.float32).at[4:7, 4:7].set(1)  # whose centre of mass is where it is

    def directions(*, test: bool) -> np.ndarray:
        motion = Motion(size=40, speed=1.0, turn=0.3, test=test)
        frames = jax.jit(jax.vmap(lambda key: motion.frames(key, spot, 2)))(jax.random.split(jax.random.key(0), 64))
        grid = np.arange(40)
        mass = np.asarray(frames).sum(axis=(2, 3))
        centres = np.stack([(frames * grid[:, None]).sum(axis=(2, 3)), (frames * grid).sum(axis=(2, 3))]) / mass
        rows, columns = centres[..., 1] - centres[..., 0]
        speeds = np.hypot(rows, columns)
        steady = (centres > WALL + 1).all(axis=(0, 2)) & (centres < 38 - WALL).all(axis=(0, 2))
        assert 0.35 < speeds[steady].min() < speeds[steady].max() < 1.05
        return np.degrees(np.arctan2(rows, columns))[steady] % 45

    assert np.all(np.abs(directions(test=True) - 22.5) < 8.5)
    assert np.all(np.abs(directions(test=False) - 22.5) > 6.5)


def test_samples_between_pixels_and_beyond_the_edges() -> None:
    rng = np.random.default_rng(0)
    image, places = rng.random((5, 7, 2), np.float32), rng.uniform(-2, 8, (40, 2)).astype(np.float32)
    expected = [map_coordinates(image[..., i], places.T, order=1, mode="nearest") for i in range(2)]
    np.testing.assert_allclose(sampled(jnp.asarray(image), jnp.asarray(places)), np.stack(expected, axis=1), atol=1e-5)
