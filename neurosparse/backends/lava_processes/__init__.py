"""Lava processes and their models, loaded by ``lava_worker.py`` in the Lava environment and by nothing else.

This folder holds process modules and nothing else: to find the models of a process, Lava's compiler executes every
``.py`` file that lies beside it.
"""
