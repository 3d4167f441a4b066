"""Documents and their revisions."""
