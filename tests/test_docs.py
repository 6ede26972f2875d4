"""The code of README.md and of the pages of docs: Python runs, commands are understood, links lead somewhere.

The Python blocks of a page run in their order as one script, in an empty folder. Before a block that would take too
long, a comment that readers do not see, ``<!-- the tests use generations=2 for generations=500 -->``, replaces one text
by another. Commands, in console blocks and in sentences, are parsed by the command line and not run. In them NAME
stands for any problem, DIR and RUN for a run directory, ``file.py:Class`` for the class of that name in the page, or
else for any problem, and ``space.json`` for the first JSON block of the page, or else for a space with the names in
braces. Blocks without a language are not code.
"""

import ast
import contextlib
import dataclasses
import functools
import io
import json
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

import evometa as em
from evometa.cli.main import _parse
from evometa.cli.names import find, table
from evometa.cli.options import Execution, Limits
from evometa.cli.run import Run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
JSON = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```(?:console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SMALLER = re.compile(r"<!-- the tests use (.*?) -->\s*\Z", re.DOTALL)
STAND_IN = """
import evometa as em
class {name}(em.HostProblem):
    card = em.ProblemCard("", "", "", recipe=em.Recipe("CMAES"))
    space = em.Box((2,), 0.0, 1.0)
    def evaluate(self, rng, omega):
        return 0.0
"""


def name_of(page: Path) -> str:
    return page.stem


def program(page: Path) -> str:
    """Return the Python blocks of a page, each in the line that it has there."""
    text, made = page.read_text(), ""
    for block in PYTHON.finditer(text):
        code = block.group(1)
        smaller = SMALLER.search(text[: block.start()])
        for change in smaller.group(1).split(", ") if smaller else []:
            new, old = change.split(" for ")
            assert old in code, f"{page}: {old} is not in the block behind the comment"
            code = code.replace(old, new)
        made += "\n" * (text[: block.start(1)].count("\n") - made.count("\n")) + code
    return made


def commands(page: Path) -> set[str]:
    """Return all commands of a page without what only a shell or a reader needs."""
    text = page.read_text()
    found = re.findall(r"`(evometa [a-z][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for block in CONSOLE.findall(text):
        found += re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE)
    return {" ".join(command.split()) for command in found}


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run directory whose strategy has the option ``--population-size``."""
    folder = tmp_path_factory.mktemp("runs") / "sphere"
    em.Search(em.problems.Sphere(2), em.strategies.CMAES(4), run_directory=folder, progress=False).run(generations=1)
    return folder


@functools.cache
def commands_of_evometa() -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit):
        _parse(["--help"])
    usage = re.search(r"\{(.*?)\}", "".join(printed.getvalue().split()))  # it may go on in a second line
    assert usage
    return usage.group(1).split(",")


@functools.cache
def options_of_every_run() -> set[str]:
    classes = (Run, Limits, Execution)
    return {f"--{field.name.replace('_', '-')}" for cls in classes for field in dataclasses.fields(cls)}


@functools.cache
def understands(words: tuple[str, ...]) -> None:
    """Parse one command line, or fail; many differ only in a built-in problem, which is looked up alone."""
    command, *rest = words
    if (
        command == "run"
        and re.fullmatch(r"[a-z][a-z0-9-]*", rest[0])
        and {w for w in rest if w[:2] == "--"} <= options_of_every_run()
    ):
        find(rest[0], "problem")
        if rest[0] != "sphere":
            return understands((command, "sphere", *rest[1:]))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as complaint:
        try:
            _parse(list(words))
        except em.ConfigurationError as error:
            if "is not installed" not in str(error):  # an optional dependency of the problem
                raise
        except SystemExit as stop:
            if stop.code:
                pytest.fail(f"evometa {shlex.join(words)}\n{complaint.getvalue()}")


def check_command(words: list[str], page: Path, a_run: Path) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    match words:
        case ["evometa", command]:
            assert command in commands_of_evometa()
        case ["evometa", *rest]:
            words = [{"NAME": "sphere", "DIR": str(a_run), "RUN": str(a_run)}.get(word, word) for word in rest]
            understands(tuple(words))
        case ["make", target, *_]:
            assert re.search(rf"^{target}[ :]", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["pip", "install", package]:
            assert set(re.findall(r"\[(\w+)\]", package)) <= set(known)
        case ["ssh" | "git" | "python", *_]:
            pass
        case _:
            pytest.fail(f"{page}: no test knows the command {shlex.join(words)}")


def write_named_files(page: Path, folder: Path) -> None:
    """Write the files with classes that a page's commands name, from the page's own code where it has the class."""
    blocks = [json.loads(block) for block in JSON.findall(page.read_text())]
    names = re.findall(r"\{(\w+)\}", " ".join(commands(page)))
    space = blocks[0] if blocks else {name: {"type": "float", "low": 0.0, "high": 1.0} for name in names}
    (folder / "space.json").write_text(json.dumps(space))
    body = ast.parse(program(page)).body
    kept = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)]
    own = {node.name for node in kept if isinstance(node, ast.ClassDef)}
    for file, name in re.findall(r"(\w+\.py):(\w+)", page.read_text()):
        code = ast.unparse(ast.Module(kept, [])) if name in own else STAND_IN.format(name=name)
        (folder / file).write_text(code)


@pytest.mark.parametrize("page", [page for page in PAGES if program(page) or commands(page)], ids=name_of)
def test_python_runs_and_commands_are_understood(
    page: Path, a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    script = tmp_path / f"{page.stem}.py"
    script.write_text(program(page))
    with contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(script), run_name="__main__")
    write_named_files(page, tmp_path)
    for command in sorted(commands(page)):
        check_command(shlex.split(command, comments=True), page, a_run)


def test_a_wrong_option_is_not_understood() -> None:
    for words in (["run", "sphere", "--sekonds", "3"], ["plot", "runs/x", "--form", "png"], ["sweep"]):
        with pytest.raises(pytest.fail.Exception):
            understands(tuple(words))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    kinds = re.findall(r"^```(\S*)\n.*?^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert set(kinds) <= {"", "console", "json", "python", "sh", "{toctree}"}


def test_the_gallery_shows_every_problem() -> None:
    text = (ROOT / "docs/gallery.md").read_text()
    shown = re.findall(r"^### (\S+)$.*?^!\[\1\]\((.*?)\)$", text, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in shown} == set(table("problem")) - {"command-problem"}
    assert max((ROOT / "docs" / path).stat().st_size for _, path in shown) < 65_000


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PYTHON.sub("", page.read_text())):
        assert (page.parent / target).exists(), target
