"""Who acts, and for which account."""
