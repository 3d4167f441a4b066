"""The tests; they mirror `app/`, with what they stand on in `support/`."""
