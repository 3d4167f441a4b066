"""The price list, its seed, its import."""
