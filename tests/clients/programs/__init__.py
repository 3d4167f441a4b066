"""What runs in the Python of a client or server, apart from ours."""
