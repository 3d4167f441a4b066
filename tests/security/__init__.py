"""The whole app at once: what SECURITY asks of every route."""
