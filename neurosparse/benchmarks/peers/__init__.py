"""One file per contestant, run by `worker.py` in the interpreter of that peer; only ours imports neurosparse."""
