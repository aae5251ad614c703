"""Networks in other tools' files, out and in: Brian2 scripts, NIR graphs, Lava bundles, scipy matrices.

A layer of its own, because a format is no engine: a backend runs a `Network`, a format rewrites it for a program that
has never heard of one. Nothing here imports an engine; what the written files need is said in them.
"""
