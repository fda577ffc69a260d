"""``python -m kilonova.cli``: the same as the ``kilonova`` command."""

from kilonova.cli.main import main

main(prog_name="kilonova")
