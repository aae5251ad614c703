"""Training by configuration file: what ``neurosparse train`` runs. Nobody is forced into it; see the README for a plain loop."""
