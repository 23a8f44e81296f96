"""Models in files and pickles: plain data, the container, and checks of models that were read."""
