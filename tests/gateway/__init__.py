"""The gateway, as the vendors' own packages and plain HTTP see it."""
