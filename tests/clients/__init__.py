"""Real clients and real model servers, installed for the occasion: `make clients`, or `python -m tests.clients NAME`.

Each module is one of them, a module of tests with the fixtures of all others; `make test` leaves it out, since it
installs packages. `installed(...)` (conftest) gives it a Python with its packages; what runs there is in `programs/`.
"""
