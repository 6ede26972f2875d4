"""scikit-learn's handwritten digits, with a fixed train/validation/test split."""

from evometa.problems.shared.classification import Table, table

CLASSES = 10
PIXELS = 64


def digits() -> Table:
    """Load 1797 images of 8 × 8 pixels: 1077 for training, 360 for validation and 360 for testing."""
    return table("digits")
