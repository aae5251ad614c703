"""Engines that run a `Network`; imported only when used."""

from neurosparse.backends.base import BACKENDS, Backend, get_backend, simulate

__all__ = ["BACKENDS", "Backend", "get_backend", "simulate"]
