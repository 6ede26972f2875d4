"""scikit-learn's handwritten digits, in three fixed parts."""

from evometa.problems._classification import Table, table

CLASSES = 10
PIXELS = 64


def digits() -> Table:
    """Load 1797 images of 8 × 8 pixels; 1077, 360 and 360 of them in the three parts."""
    return table("digits")
