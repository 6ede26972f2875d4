"""Every Python block of docs/interop.md runs, in their order, as one program."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    program = ""  # each block in the line that it has in the page
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        program += "\n" * (text[: block.start(1)].count("\n") - program.count("\n")) + block.group(1)
    assert program
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(program, str(PAGE), "exec"), {"__name__": "interop"})
