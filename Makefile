# What can be done here; each command makes what it needs first.
# `make run PYTHON=/path/to/python3` names the Python that .venv is made with, the first time.

PYTHON ?=
export PYTHON
# Else a third of the start of each process of the tests is compiling what the one before has compiled.
unexport PYTHONDONTWRITEBYTECODE
in_environment = python=$$(sh devserver/find-python.sh) && "$$python" devserver/environment.py

.PHONY: run test check bench soak mutate screenshots lock

run:
	@python=$$(sh devserver/find-python.sh) && "$$python" -m devserver.ports
	@$(in_environment) local && exec .venv/bin/python -m devserver --until-parent-exits

test:
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder --durations 20

check:
	@$(in_environment) test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/bandit -q -r app sandbox devserver --severity-level medium -c pyproject.toml

bench:
	@$(in_environment) test && .venv/bin/python -m bench

soak:
	@$(in_environment) test && .venv/bin/python -m tests.faults.soak

mutate:
	@$(in_environment) test && .venv/bin/python -m tests.mutation

screenshots:
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.support.screenshots

lock:
	@sh devserver/lock.sh
