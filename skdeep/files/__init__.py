"""Models in files and pickles: plain data, the container, and the checks of what is read."""
