"""Every Python block of some pages of the docs runs; those of a page in their order, as one program."""

import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NAMES = ("commands", "executors", "halving", "interop", "sharing", "tutorial", "writing")
PAGES = [DOCS / f"{name}.md" for name in NAMES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    program = ""  # each block in the line that it has in the page
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        program += "\n" * (text[: block.start(1)].count("\n") - program.count("\n")) + block.group(1)
    assert program
    module = types.ModuleType(page.stem)
    monkeypatch.setitem(sys.modules, page.stem, module)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(program, str(page), "exec"), vars(module))
