"""Files are complete or absent, also on file systems without all features of a local disk."""

import errno
import os
from pathlib import Path

import pytest

from evometa.storage.files import sync_folder, write_atomically


def failing(code: int) -> object:
    def call(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize(
    ("call", "code"),
    [("fchmod", errno.EPERM), ("fchmod", errno.ENOSYS), ("fsync", errno.EINVAL), ("fsync", errno.ENOSYS)],
)
def test_a_mount_without_rights_or_without_durability_gets_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    monkeypatch.setattr(os, call, failing(code))
    write_atomically(tmp_path / "file", b"content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"content")]


def test_what_could_not_be_written_is_an_error_and_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "file", b"before")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(tmp_path / "file", b"after")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"before")]


def test_a_file_is_for_everyone_to_read(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_opened_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    sync_folder(tmp_path)
