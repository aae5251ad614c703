"""``python -m neurosparse.cli``, where the script is not on the PATH."""

from neurosparse.cli.app import main

main()
