"""The checks of the doctor: each function yields the findings of one case."""
