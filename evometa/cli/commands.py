"""``evometa run --command 'train.py --lr {lr}'``: a program in the place of a problem's name."""

from collections.abc import Sequence

NAME = "command-problem"
_SPACE = "--space"


def with_problem(args: Sequence[str]) -> list[str]:
    """Return a command line after ``run`` or ``sweep`` with the problem's name first where it gives a command instead.

    There ``--space`` is the command's parameters.
    """
    given = any(word == "--command" or word.startswith("--command=") for word in args)
    words = [NAME, *args] if given and args[0].startswith("-") else list(args)
    if words[:1] != [NAME]:
        return words
    return [
        f"--parameters{word.removeprefix(_SPACE)}" if word == _SPACE or word.startswith(f"{_SPACE}=") else word
        for word in words
    ]
