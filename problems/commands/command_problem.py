"""Any program as a problem: a command line with parameters, and the number that it prints or writes.

Branch of meta-learning: hyperparameter optimisation of whatever can be started from a shell, in any language.
"""

import copy
import dataclasses
import functools
import hashlib
import itertools
import json
import math
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import CandidateFailed, ConfigurationError
from evometa.executors.worker_process import OUTSIDE
from evometa.problem import HostProblem
from evometa.problems.commands.kept_files import ERRORS, OUTPUT, PARAMETERS, KeptFiles, write_json
from evometa.problems.commands.metric import in_file, number, similar
from evometa.problems.commands.process import Ended, run
from evometa.problems.commands.space_file import RESERVED, CommandSpace
from evometa.problems.commands.template import (
    filled,
    found_from,
    named,
    require_all_used,
    require_unquoted,
    shell_found_from,
    special_texts,
    split,
    words_with,
)
from evometa.settings import Count
from evometa.spaces import Dict
from evometa.types import Omega

OWN_LIMIT = 10.0
"""Seconds after its time limit that a call may take to end what it started and to keep its files."""
LAST_LINES = 3
"""Lines of standard error in the description of a failure."""


@dataclasses.dataclass(frozen=True)
class CommandProblem(HostProblem):
    """Search for the parameters with which a program prints the best number: ``python train.py --lr {lr}``.

    ω is a dict of the parameters that the space describes. Each call starts the program with their values in place of
    the names in braces, and reads its metric: the last ``metric = value`` or ``metric: value`` (of a line of JSON the
    member of that name) that it prints, on standard error where standard output has none. A candidate failed where the
    program ends with another exit status than 0, exceeds the time limit, or has no number for the metric; the failure
    has the last lines of its standard error.

    No shell is used, so that values never need quotes: the command is split into words first. Each call has a working
    directory of its own. Words that name an existing file of the folder in which the search began (or, written with a
    slash, a folder in it) are replaced by absolute paths, so that ``python train.py`` works. ``{{`` and ``}}`` are
    braces. Besides its parameters a command may name ``{seed}``, ``{parameters}`` (the path of a JSON file with all
    values), ``{candidate}`` (a name) and ``{candidate_directory}``; the program finds all of these in the environment
    too, as ``EVOMETA_SEED`` and so on.

    A word that consists of an inactive parameter is left out together with the option before it.

    Each line of standard output with the metric is a report: with ``Search(pruning=...)`` bad calls end early.

    Args:
        command: the command line, or its words.
        parameters: the space: a JSON or TOML file, the same as a dict or as JSON text.
        metric: the name of the number.
        direction: whether a smaller or a larger number is better.
        metric_file: a file that the program writes in its working directory, from which to read the metric: JSON, lines
            as above, or the number alone. By default what it prints.
        shell: pass the command to /bin/sh, as one text in which values are quoted.
        environment: variables for the program, NAME=VALUE; values may name parameters too.
        num_tasks: calls that one evaluation averages, each with a seed of its own; by default one. Programs whose
            results vary are noticed in any case.
        working_directory: where all calls run, instead of directories of their own.
        start_directory: the folder from which relative paths are; by default where the search begins.
        kept: where working directories of the best call and of failures are kept; by default ``candidates`` in the run
            directory, and nothing without a run directory.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="hyperparameters: of any program",
        omega="parameters of a command line",
        learner="what the program trains",
        recipe=Recipe("GeneticAlgorithm", {"population_size": 16}, {"evaluations": 256}),
    )

    command: str | tuple[str, ...]
    parameters: CommandSpace | str | Mapping[str, Any]
    metric: str
    _: dataclasses.KW_ONLY
    direction: Literal["minimize", "maximize"] = "minimize"  # type: ignore[misc]  # its own, not the class's
    metric_file: str | None = None
    shell: bool = False
    environment: tuple[str, ...] = ()
    num_tasks: Count | None = None
    working_directory: Path | None = None
    start_directory: Path | None = None
    kept: Path | None = None

    def __post_init__(self) -> None:
        """Read the space, and check that command and space fit together."""
        super().__post_init__()
        given = self.parameters
        space = given if isinstance(given, CommandSpace) else None
        if space is None:
            space = CommandSpace.of(given) if isinstance(given, Mapping) else CommandSpace.from_word(str(given))
        start = Path(self.start_directory or Path.cwd()).expanduser().absolute()
        object.__setattr__(self, "parameters", space)
        object.__setattr__(self, "start_directory", start)
        for name in ("working_directory", "kept"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, start / path.expanduser())
        if not self.metric.strip():
            raise ConfigurationError("CommandProblem expects the name of a metric, got none; give one such as loss.")
        if self.metric_file is not None and os.path.normpath(self.metric_file).split(os.sep)[0] in ("", ".", ".."):
            raise ConfigurationError(
                f"CommandProblem expects metric_file in the working directory of each call, got {self.metric_file!r}; "
                "give a relative path, since calls at the same time would write to the same file."
            )
        for entry in self.environment:
            if not re.fullmatch(r"[^=\0]+=[^\0]*", entry):
                raise ConfigurationError(f"CommandProblem expects environment as NAME=VALUE, got {entry!r}.")
        texts = [*self._words, *self.environment]
        require_all_used(named(texts, self._known), space.names)
        for example in space.examples():
            for text in texts:
                filled(text, self._known, example | dict.fromkeys(RESERVED, 0))
        if self.shell:
            require_unquoted(self._words[0], self._known, special_texts(space.texts()))

    @property
    def _parameters(self) -> CommandSpace:
        assert isinstance(self.parameters, CommandSpace)
        return self.parameters

    @functools.cached_property
    def _known(self) -> tuple[str, ...]:
        """What the command may name."""
        return (*self._parameters.names, *RESERVED)

    @functools.cached_property
    def _words(self) -> list[str]:
        """The words of the command; the whole text for a shell."""
        if not self.shell:
            return split(self.command)
        return [self.command if isinstance(self.command, str) else shlex.join(self.command)]

    @property
    def _folder(self) -> Path:
        assert self.start_directory is not None
        return self.start_directory

    @property
    def space(self) -> Dict:
        """The space that :attr:`parameters` describe."""
        return self._parameters.space

    @property
    def call_limit(self) -> float | None:
        """Seconds after which the call itself is ended; the program is ended before that."""
        return None if self.time_limit is None else self.time_limit + OWN_LIMIT

    def require_ready(self) -> None:
        """Raise ConfigurationError where the program, or the folder that the command is for, is not there."""
        for folder in (self._folder, self.working_directory):
            if folder is not None and not folder.is_dir():
                raise ConfigurationError(
                    f"CommandProblem expects the folder {folder}, which is not there; make it (where the files have "
                    "moved, as a link to them)."
                )
        program = "" if self.shell else self._words_found[0]
        if "{" in program or not program:
            return
        if "/" not in program:
            if shutil.which(program, path=self._environment({}).get("PATH")) is None:
                raise ConfigurationError(
                    f"The command expects a program {program!r} on the PATH, and there is none; install it, or give "
                    "its path, with a slash in it."
                )
            return
        path = (self.working_directory or self._folder) / program
        if not path.is_file() or not os.access(path, os.X_OK):
            what = "cannot be executed; 'chmod +x' it, or name its interpreter" if path.is_file() else "is not there"
            raise ConfigurationError(f"The command expects a program {path}, which {what}.")

    def keeping_files(self, folder: Path) -> "CommandProblem":
        """Return the problem as it keeps files in a folder, where :attr:`kept` says no other."""
        problem = self if self.kept is not None else dataclasses.replace(self, kept=folder)
        KeptFiles(problem.kept).clear()
        return problem

    def evaluate(self, rng: np.random.Generator, omega: Omega) -> float:
        """Run the program once and return its metric."""
        values = self._parameters.values(omega)
        # Drawn from a copy unless the command asks for it, so that a program without noise does not count as noisy.
        seed = int((rng if "seed" in named(self._words, self._known) else copy.deepcopy(rng)).integers(2**31))
        name = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
        files = KeptFiles(self.kept)
        room, began = files.open(name), time.monotonic()
        fitness, over = None, False
        record: dict[str, Any] = {"metric": self.metric, "seed": seed}
        try:
            write_json(room / PARAMETERS, values)
            about = {"seed": seed, "parameters": str(room / PARAMETERS), "candidate": name}
            fitness = self._run(room, values | about | {"candidate_directory": str(room)}, record)
            over = True
            return fitness
        except CandidateFailed as failure:
            record["failure"], over = str(failure), True
            raise
        finally:
            record["seconds"] = time.monotonic() - began
            if not over:  # the search ends, or has stopped the call for its values
                files.discard(room)
            else:
                found = fitness if fitness is not None and math.isfinite(fitness) else None
                files.close(room, name=name, fitness=found, smaller=self.direction == "minimize", record=record)

    @functools.cached_property
    def _words_found(self) -> list[str]:
        if self.working_directory is not None:
            return self._words
        return [shell_found_from(self._words[0], self._folder)] if self.shell else found_from(self._words, self._folder)

    def _run(self, room: Path, values: dict[str, Any], record: dict[str, Any]) -> float:
        command: Any = words_with(self._words_found, self._known, values)
        if self.shell:
            inactive = dict.fromkeys(set(self._known) - set(values), "")
            command = filled(self._words_found[0], self._known, values | inactive, shlex.quote)
        record["command"] = command
        folder, steps = self.working_directory or room, itertools.count(1)
        try:
            ended = run(
                command,
                shell=self.shell,
                folder=folder,
                environment=self._environment(values),
                limit=self.time_limit,
                logs=(room / OUTPUT, room / ERRORS),
                metric=self.metric,
                tell=lambda value: self.report(next(steps), value),
            )
        except (OSError, ValueError) as error:  # ValueError: a zero byte in a value
            reason = getattr(error, "strerror", None) or str(error)
            raise CandidateFailed(f"could not start {command[0]!r}: {reason}", details=f"{command}: {error}") from None
        self._require_success(ended)
        return self._metric_of(ended, folder)

    def _environment(self, values: Mapping[str, Any]) -> dict[str, str]:
        environment = dict(os.environ)
        for name, value in json.loads(environment.pop(OUTSIDE, "{}")).items():
            environment.pop(name, None)
            environment |= {} if value is None else {name: value}
        environment |= {f"EVOMETA_{name.upper()}": str(values[name]) for name in RESERVED if name in values}
        environment["EVOMETA_START_DIRECTORY"] = str(self._folder)
        if self.working_directory is None:  # for 'python -m'
            paths = [str(self._folder), *environment.get("PYTHONPATH", "").split(os.pathsep)]
            environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        for entry in self.environment:
            name, _, text = entry.partition("=")
            if not values or (value := filled(text, self._known, values)) is None:
                continue
            environment[name] = value
        return environment

    def _require_success(self, ended: Ended) -> None:
        """Raise CandidateFailed where the program did not end by itself and well."""
        if ended.overtime:
            raise CandidateFailed(f"time limit of {self.time_limit:g} s exceeded")
        if not ended.status:
            return
        text = ended.errors if ended.errors.strip() else ended.output
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        what = f"exit status {ended.status}" if ended.status > 0 else f"ended by {_signal_name(-ended.status)}"
        thrown = re.match(r"[\w.]*(?:Error|Exception|Interrupt|Warning)\b", lines[-1]) if lines else None
        reason = f"{what}: {' / '.join(lines[-LAST_LINES:])}" if lines else what
        raise CandidateFailed(
            reason if len(reason) < 400 else f"{what}: [...] {reason[-360:]}",
            kind=f"{what}: {thrown[0]}" if thrown else what,
            details=f"{what}\n{text[-4000:]}",
        )

    def _metric_of(self, ended: Ended, folder: Path) -> float:
        value, where = ended.value, "printed"
        if self.metric_file is not None:
            where = f"wrote to {self.metric_file}"
            try:
                value = in_file(folder / self.metric_file, self.metric)
            except OSError as error:
                raise CandidateFailed(
                    f"wrote no file {self.metric_file} in its working directory: {error.strerror}",
                    details=f"{self.metric_file}: {error.strerror}\n{(ended.errors or ended.output)[-4000:]}",
                ) from None
        if value is None:
            near = "" if self.metric_file else similar(f"{ended.output}\n{ended.errors}", self.metric)
            raise CandidateFailed(
                f"{where} no '{self.metric} = NUMBER'.{near}".rstrip("."),
                kind=f"{where} no {self.metric}",
                details=f"{where} no '{self.metric} = NUMBER'; the end of its output:\n{ended.output[-4000:]}",
            )
        found = number(value)
        if found is None:
            raise CandidateFailed(
                f"{where} {self.metric} = {str(value)[:80]!r}, which is no number",
                kind=f"{where} {self.metric} that is no number",
                details=f"{where} {self.metric} = {str(value)[:80]!r}, which is no number",
            )
        return found

    def export(self, omega: Omega) -> dict[str, Any]:
        """Return the values that the program is given, by name."""
        return self._parameters.values(omega)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
