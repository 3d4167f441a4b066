"""What production installs: pinned, listed, and looked at for age and known holes."""
