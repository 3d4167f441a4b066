"""What the tests stand on: real databases, Redis, processes, a browser, people."""
