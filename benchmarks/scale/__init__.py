"""Training at scale: what it costs, and what it would cost on more machines than there are."""
