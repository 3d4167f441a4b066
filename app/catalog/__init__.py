"""What an installation starts with, and where its prices come from."""
