"""What the doctor looks for: each function yields findings of one case."""
