"""Random histories of an account, held against a small model of billing-rules.md."""
