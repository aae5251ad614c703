"""The command line: ``neurosparse``. It knows all other packages and imports them on use; nothing imports it."""

from neurosparse.cli.app import app, main

__all__ = ["app", "main"]
