"""What a call may cost, and what it did cost."""
