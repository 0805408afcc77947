"""`python -m sync verify BUNDLE`: the verifier alone, where nothing of the node is installed."""

from sync.cli import cli_log

cli_log(prog_name="python -m sync")
