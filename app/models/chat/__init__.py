"""Conversations and their files."""
