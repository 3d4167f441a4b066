# Each command sets up what it needs first; `make help` lists them.
# `make run PYTHON=/path/to/python3` chooses the Python for .venv, the first time.

PYTHON ?=
export PYTHON
# Without compiled files each test process spends a third of its start compiling again.
unexport PYTHONDONTWRITEBYTECODE
in_environment = python=$$(sh devserver/find-python.sh) && "$$python" devserver/environment.py

.PHONY: help run test check clients bench soak screenshots matrix sbom audit lock

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## start everything on this machine: web, worker, clock, sandbox payments
	@python=$$(sh devserver/find-python.sh) && "$$python" -m devserver.ports
	@$(in_environment) local && exec .venv/bin/python -m devserver

test: ## run every test, on SQLite and PostgreSQL, with real processes and a browser
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder --durations 20

check: ## run lint, types, import contracts, security lint
	@$(in_environment) test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/bandit -q -r app sandbox devserver --severity-level medium -c pyproject.toml

clients: ## run real SDKs and model servers against the app; installs their packages
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.clients

bench: ## run the benchmarks, as ratios in one run, into docs/bench.md
	@$(in_environment) test && .venv/bin/python -m bench

soak: ## an hour of random kill -9 under load, then the audit
	@$(in_environment) test && .venv/bin/python -m tests.faults.soak

screenshots: ## take pictures of every main page: desktop, phone, dark
	@$(in_environment) test && .venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.support.screenshots

matrix: ## print what each role gets on each route of the real app
	@$(in_environment) test && WRITE_MATRIX=1 .venv/bin/python -m pytest -q -n 0 tests/security/test_matrix.py
	@cat tests/security/matrix.txt

sbom: ## print a bill of materials of what production installs, in CycloneDX
	@sh devserver/sbom.sh

audit: ## list old packages of production and, with OSV_DATA, known vulnerabilities
	@.venv/bin/python -m devserver.audit

lock: ## pin the requirements again
	@sh devserver/lock.sh
