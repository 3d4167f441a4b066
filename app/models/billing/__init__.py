"""What was paid, and what it was worth."""
