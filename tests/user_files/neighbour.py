"""What a user's file imports from beside it."""


def double(value: float) -> float:
    return 2.0 * value
