"""Names and settings as people write them: on the command line and in Python."""

import json
import re
from typing import Any, Literal

Role = Literal["problem", "strategy"]
"""What a name on the command line can stand for."""
MOST = 32
"""Values of a setting that are written out."""


def kebab(name: str) -> str:
    """Return a class name as it is spelled on the command line: ``OpenAIES`` is openai-es, ``CMAES`` is cmaes."""
    # The boundary between two abbreviations cannot be seen from their letters, so OpenAI is made one word.
    name = name.replace("OpenAI", "Openai")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def short_name(reference: str) -> str:
    """Return the name on the command line of a class, given its reference in a manifest."""
    return kebab(reference.rpartition(":")[2].rpartition(".")[2])


def call_in_words(description: dict[str, Any]) -> str:
    """Return a problem or strategy of a manifest with its settings, as Python writes it."""
    return f"{description['type']}({_fields_in_words(description)})"


def _fields_in_words(description: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value_in_words(value)}" for name, value in description["fields"].items())


def value_in_words(value: Any) -> str:
    """Return a setting of a manifest as Python writes it."""
    if isinstance(value, dict) and set(value) == {"type", "fields"}:
        return f"{value['type'].rpartition(':')[2]}({_fields_in_words(value)})"
    if isinstance(value, list) and len(value) > MOST:
        return f"[{len(value)} values]"
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
