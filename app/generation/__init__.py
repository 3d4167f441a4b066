"""Answers of models, from the question to the receipt."""
