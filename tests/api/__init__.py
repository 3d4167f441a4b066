"""The JSON API, over HTTP in this process; every answer is held to the description."""
