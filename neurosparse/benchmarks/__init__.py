"""Peers side by side: every contestant in a process of its own, in turn, and only ratios of the same round claimed."""
