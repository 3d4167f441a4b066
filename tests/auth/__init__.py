"""Tests of people, accounts and teams."""
