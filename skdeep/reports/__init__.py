"""Views of a model: tables, the summary of a network, training curves."""
