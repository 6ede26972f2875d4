"""Writing a file that the user asked for."""

from pathlib import Path

from evometa.errors import RunDirectoryError


def write_output(path: Path, content: bytes) -> None:
    """Write a file and print its path.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    from evometa.storage.files import write_atomically

    try:
        write_atomically(path, content)
    except OSError as error:
        raise RunDirectoryError(
            f"{path} could not be written: {error.strerror or error}; give --output a file in a folder that exists."
        ) from None
    print(path)
