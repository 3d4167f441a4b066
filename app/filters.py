"""Temporary."""
def init_filters(app): pass
