"""Mutation testing of the money: `make mutate` changes one thing at a time and sees whether a test notices."""
