# What can be done here; each command makes what it needs first. `make help` lists them.
# `make run PYTHON=/path/to/python3` names the Python that .venv is made with, the first time.

PYTHON ?=
export PYTHON
# Else a third of the start of each process of the tests is compiling what the one before has compiled.
unexport PYTHONDONTWRITEBYTECODE
in_environment = python=$$(sh devserver/find-python.sh) && "$$python" devserver/environment.py

.PHONY: help run test check clients bench soak screenshots matrix sbom audit lock

help: ## what can be done here
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## the whole product on this machine: web, worker, clock, sandbox payments
	@python=$$(sh devserver/find-python.sh) && "$$python" -m devserver.ports
	@$(in_environment) local && exec .venv/bin/python -m devserver

test: ## every test, on SQLite and PostgreSQL, with real processes and a browser
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder --durations 20

check: ## lint, types, import contracts, security lint
	@$(in_environment) test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/bandit -q -r app sandbox devserver --severity-level medium -c pyproject.toml

clients: ## real SDKs and a real model server against the app; installs their packages
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.clients

bench: ## the benchmarks, as ratios in one run, into docs/bench.md
	@$(in_environment) test && .venv/bin/python -m bench

soak: ## an hour of kill -9 at random under load, then the audit
	@$(in_environment) test && .venv/bin/python -m tests.faults.soak

screenshots: ## every main page, on a desktop, on a phone and in the dark
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.support.screenshots

matrix: ## what each role gets on each route, asked of the real app
	@$(in_environment) test && WRITE_MATRIX=1 .venv/bin/python -m pytest -q -n 0 tests/security/test_matrix.py
	@cat tests/security/matrix.txt

sbom: ## a bill of materials of what production installs, in CycloneDX
	@sh devserver/sbom.sh

audit: ## what production installs, by age and, where OSV_DATA is, known holes
	@.venv/bin/python -m devserver.audit

lock: ## the pinned requirements anew
	@sh devserver/lock.sh
