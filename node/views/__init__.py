"""Derived tables. Same file names as node/domain; every one can be dropped and rebuilt from the log."""
