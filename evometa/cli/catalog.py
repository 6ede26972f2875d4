"""``evometa list``: the problems and strategies that come with evometa."""

import dataclasses
import inspect
import json
import re
import shutil
import sys
from collections import defaultdict
from typing import Annotated, Any

from tyro.conf import Positional, arg

from evometa.errors import ConfigurationError, nearest

INDENT = 2


@dataclasses.dataclass(kw_only=True)
class List:
    """List the problems and strategies that come with evometa, or tell more of one of them.

    Args:
        name: a problem or strategy, to read more of it.
        json: print everything as JSON, for scripts.
    """

    name: Annotated[Positional[str], arg(metavar="[NAME]")] = ""
    json: bool = False

    def execute(self) -> int:
        """Print the list; return the exit status."""
        from evometa.cli.names import table

        problems, strategies = table("problem"), table("strategy")
        if self.name:
            return self._tell(problems | strategies)
        if self.json:
            print(json.dumps({"problems": _as_json(problems), "strategies": _as_json(strategies)}, indent=2))
            return 0
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        width = max(map(len, problems | strategies)) + INDENT + 1
        _print_groups("PROBLEMS, by branch of meta-learning, and what ω is", by_branch(problems), width, columns)
        print()
        _print_groups("STRATEGIES", _by_folder(strategies), width, columns)
        print("\n'evometa list NAME' tells more of one; 'evometa run NAME' searches.")
        return 0

    def _tell(self, known: dict[str, type[Any]]) -> int:
        cls = known.get(self.name)
        if cls is None:
            raise ConfigurationError(
                f"There is no problem or strategy named {self.name!r}. {nearest(self.name, known)}"
            )
        described = _described(cls)
        if self.json:
            print(json.dumps({"name": self.name, **described}, indent=2))
            return 0
        settings = described.pop("settings")
        for key, value in described.items():
            if key != "description" and value:
                print(f"{key:9}{value}")
        print(f"\n{described['description']}\n\nsettings, with their defaults:")
        for setting, default in settings.items():
            print(f"  --{setting.replace('_', '-')} {default}")
        return 0


def _print_groups(title: str, groups: dict[str, dict[str, str]], width: int, columns: int) -> None:
    """Print names with a few words each, under the headings of their groups; cut to the width of a terminal."""
    print(title)
    for heading, entries in groups.items():
        print(f"\n{heading}")
        for name, words in entries.items():
            line = f"{' ' * INDENT}{name:{width - INDENT}}{words}"
            print(line if not columns or len(line) <= columns else f"{line[: columns - 1].rstrip()}…")


def by_branch(problems: dict[str, type[Any]]) -> dict[str, dict[str, str]]:
    """Return what ω is in each problem, by the first words of its branch; those without inner learning last."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name, cls in problems.items():
        branch = re.split(r"[:,]| and | of a | over time", cls.card.branch)[0]
        groups["none: test functions" if branch == "none" else branch][name] = cls.card.omega
    return dict(sorted(groups.items(), key=lambda group: (group[0].startswith("none"), group[0].lower())))


def _by_folder(strategies: dict[str, type[Any]]) -> dict[str, dict[str, str]]:
    """Return the first sentence of each strategy, by the kind that its folder holds."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name, cls in strategies.items():
        folders = cls.__module__.split(".")[2:-1]
        groups[folders[0].replace("_", " ") if folders else "others"][name] = first_line(cls)
    return dict(sorted(groups.items(), key=lambda group: (group[0] == "others", group[0])))


def _as_json(classes: dict[str, type[Any]]) -> list[dict[str, Any]]:
    return [{"name": name, **_described(cls)} for name, cls in classes.items()]


def _described(cls: type[Any]) -> dict[str, Any]:
    """Return what is known of a class, in words."""
    card = getattr(cls, "card", None)
    known: dict[str, Any] = {}
    if card is not None:
        known = {"branch": card.branch, "omega": card.omega, "learner": card.learner, "paper": card.paper}
        if card.recipe:
            settings = ", ".join(f"{name}={value}" for name, value in card.recipe.settings.items())
            limits = ", ".join(f"{name} {value}" for name, value in card.recipe.limits.items())
            known["recipe"] = f"{card.recipe.strategy}({settings}), {limits}"
    fields = {
        field.name: "(needed)" if parameter.default is parameter.empty else repr(parameter.default)
        for field in dataclasses.fields(cls)
        if (parameter := inspect.signature(cls).parameters.get(field.name)) is not None
    }
    return {**known, "description": _without_markup(inspect.getdoc(cls) or ""), "settings": fields}


def first_line(cls: type[Any]) -> str:
    """Return the first sentence of a class's docstring without markup."""
    return _without_markup((inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " "))


def _without_markup(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", r"\1\2", text)
