"""What every page and answer shares: the gate, access, limits, formatting, headers."""
