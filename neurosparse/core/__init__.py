"""Torch-free ground: networks, neurons, recordings, files, names and random streams."""
