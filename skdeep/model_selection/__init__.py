"""Fair splits of rows."""

from skdeep.model_selection.splits import train_dev_test_split

__all__ = ["train_dev_test_split"]
