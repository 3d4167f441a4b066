"""What is done with money: use cases, jobs and commands."""
