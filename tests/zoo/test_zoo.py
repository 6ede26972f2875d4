"""Every entry of the zoo can be used as its card says, and its card matches its run."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import evometa as em
from evometa.strategies import LearnedES

NAMES = em.zoo.names()


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_usable(name: str) -> None:
    card, run, thing = em.zoo.card(name), em.zoo.run(name), em.zoo.load(name)
    assert card.command.startswith("evometa run ")
    assert card.licence
    assert any(key.startswith("held-out") for key in card.results)
    assert run.result.generations > 1
    if isinstance(thing, optax.GradientTransformation):
        weights = {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}
        updates, _ = thing.update(weights, thing.init(weights), weights)
        assert np.isfinite(np.ravel(updates["kernel"])).all()
    elif isinstance(thing, LearnedES):
        assert thing.weights
    else:
        assert callable(thing)


def test_an_unknown_entry_is_refused_with_the_nearest() -> None:
    with pytest.raises(em.ConfigurationError, match="Nearest: update-rule"):
        em.zoo.load("update-rules")
