"""Fixtures of the strategies' tests."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def x64() -> Iterator[None]:
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(params=["float32", "float64"])
def precision(request: pytest.FixtureRequest) -> str:
    """Run a test in both precisions; gives the name of JAX's default float."""
    if request.param == "float64":
        request.getfixturevalue("x64")
    return str(request.param)
