"""The real thing, broken on purpose; after each fault the books are whole."""
