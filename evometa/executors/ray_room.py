"""What the nodes of a Ray cluster have, and how many workers there is room for."""

from collections.abc import Mapping
from typing import Any

from evometa.errors import ConfigurationError
from evometa.executors.ray_settings import Ray


def room(ray: Any, settings: Ray) -> int:
    """Return how many workers the cluster has room for.

    Raises:
        ConfigurationError: for none.
    """
    needs = _needs(settings)
    fits = (min((int(node.get(name, 0) / need) for name, need in needs.items()), default=1) for node in _nodes(ray))
    found = sum(fits)
    if not found:
        raise ConfigurationError(no_room(ray, settings))
    return found


def no_room(ray: Any, settings: Ray) -> str:
    """Return in words what a worker needs and the cluster has."""
    hidden = ("node:", "object_store", "memory")
    has = {name: amount for name, amount in ray.cluster_resources().items() if not name.startswith(hidden)}
    return (
        f"A worker on Ray expects {_in_words(_needs(settings))} on one node, and the cluster has {_in_words(has)} "
        "in all; give Ray(cpus=..., gpus=..., resources=...) less, or start nodes that have it."
    )


def share_of_memory(ray: Any, workers: int) -> float:
    """Return the bytes that each of so many worker processes may hold, on the node with the least for each."""
    nodes = _nodes(ray)
    each = max(1, -(-workers // max(1, len(nodes))))
    known = [node["memory"] for node in nodes if "memory" in node]
    return min(known, default=float(2**33)) / each


def _nodes(ray: Any) -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _needs(settings: Ray) -> dict[str, float]:
    """Return what a worker needs, by Ray's names."""
    needs = {"CPU": settings.cpus, "GPU": settings.gpus, **settings.resources}
    return {name: amount for name, amount in needs.items() if amount > 0}


def _in_words(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(amounts.items())) or "nothing"
