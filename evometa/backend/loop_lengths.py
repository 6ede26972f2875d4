"""How often a loop that ends by a condition runs at most, read off its counter and the limit of that."""

import math
from collections.abc import Iterator
from typing import Any

from evometa.backend.jaxprs import SAME, Atom, Equation, Flat, Known, flat, largest

COMPARISONS = frozenset(("lt", "le", "gt", "ge", "eq", "ne"))
LOGIC = frozenset(("and", "or", "not", "xor", "reduce_or", "reduce_and", "select_n")) | SAME


def rounds(equation: Equation, known: Known) -> tuple[int, Flat, Flat]:
    """Return how often a ``while`` runs at most, 1 if no constant says, and its condition and body.

    A counter is a value that each round changes by a constant, and its limit one that it is compared with, in the
    condition or in a flag that the condition reads. Several limits are taken to hold together.

    Args:
        equation: the loop.
        known: what is known of its inputs.
    """
    params, inputs = equation.params, equation.inputs
    first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    begun = inputs[second:]
    carried: list[Atom] = [object() for _ in begun]
    body = flat(params["body_jaxpr"], inputs[first:second] + carried, known)
    kept = [(one, start) for one, start, end in zip(carried, begun, body.outputs, strict=True) if end is one]
    constants = {one: value for one, start in kept if (value := largest(start, known)) is not None}
    body = flat(params["body_jaxpr"], inputs[first:second] + carried, known | constants)
    condition = flat(params["cond_jaxpr"], inputs[:first] + carried, known | constants)
    of_body, of_condition = _producers(body), _producers(condition)
    found = []
    for made, values, comparison in _comparisons(condition, of_condition, body, of_body, carried):
        for counter, limit in (comparison.inputs, comparison.inputs[::-1]):
            number, most = _counter(counter, made, values, carried), largest(limit, values)
            step = None if number is None else _step(body.outputs[number], carried[number], of_body, body.known)
            if number is None or most is None or not step:
                continue
            start = largest(begun[number], known)
            if start is None and step > 0:
                start = 0.0
            if start is not None and (most - start) / step > 0:
                found.append(math.ceil((most - start) / step))
    return min(found, default=1), condition, body


def _producers(jaxpr: Flat) -> dict[Atom, Equation]:
    return {output: equation for equation in jaxpr.equations for output in equation.outputs}


def _comparisons(
    condition: Flat, of_condition: dict[Any, Equation], body: Flat, of_body: dict[Any, Equation], carried: list[Atom]
) -> Iterator[tuple[dict[Any, Equation], Known, Equation]]:
    """Yield the comparisons on which the condition depends, with where their inputs come from."""
    waiting = [(condition.outputs[0], of_condition, condition.known)]
    seen: set[Any] = set()
    while waiting:
        atom, made, values = waiting.pop()
        if id(atom) in seen:
            continue
        seen.add(id(atom))
        equation = None if _literal(atom) else made.get(atom)
        if equation is not None and equation.name in COMPARISONS:
            yield made, values, equation
        elif equation is not None and equation.name in LOGIC:
            waiting += [(one, made, values) for one in equation.inputs]
        elif equation is None and made is of_condition and atom in carried:
            waiting.append((body.outputs[carried.index(atom)], of_body, body.known))


def _counter(atom: Atom, made: dict[Any, Equation], values: Known, carried: list[Atom]) -> int | None:
    """Return which carried value an atom is, but for a constant."""
    while not _literal(atom):
        if atom in carried:
            return carried.index(atom)
        equation = made.get(atom)
        if equation is None or equation.name not in SAME | {"add", "sub"}:
            return None
        unknown = [one for one in equation.inputs if largest(one, values) is None]
        if len(unknown) != 1:
            return None
        atom = unknown[0]
    return None


def _step(end: Atom, begin: Atom, made: dict[Any, Equation], values: Known) -> float | None:
    """Return by how much a round changes a carried value, None if not by a constant."""
    equation = None if _literal(end) else made.get(end)
    if equation is None:
        return None
    if equation.name in SAME:
        return _step(equation.inputs[0], begin, made, values)
    if equation.name == "select_n":  # under vmap, finished members keep their value
        return next((step for one in equation.inputs[1:] if (step := _step(one, begin, made, values))), None)
    if equation.name not in ("add", "sub"):
        return None
    first, second = equation.inputs
    if first is begin:
        by = largest(second, values)
        return by if by is None or equation.name == "add" else -by
    return largest(first, values) if second is begin and equation.name == "add" else None


def _literal(atom: Atom) -> bool:
    return type(atom) is not object
