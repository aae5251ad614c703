"""Training by configuration file: what ``neurosparse train`` runs.

Nobody is forced into it; the README has the plain loop.
"""
