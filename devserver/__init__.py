"""Runs the whole of Tollgate on one machine for development: what `make run` starts."""
