# Each command sets up what it needs first; `make help` lists them.
# `make run PYTHON=/path/to/python3` chooses the Python for .venv, the first time.

PYTHON ?=
export PYTHON
# Without compiled files each test process spends a third of its start compiling again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run port test check clients bench soak screenshots browsers matrix sbom audit lock

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: port .venv/installed-local ## start everything on this machine: web, worker, clock, sandbox payments
	@exec .venv/bin/python -m devserver

port:
	@python=$$(sh devserver/find-python.sh) && "$$python" -m devserver.ports

test: .venv/installed-test ## run every test, on SQLite and PostgreSQL, with real processes and a browser
	@.venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m pytest -n 5 --dist loadscope --no-loadscope-reorder --durations 20

check: .venv/installed-test ## run lint, types, import contracts, security lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/bandit -q -r app sandbox devserver dependencies --severity-level medium -c pyproject.toml

clients: .venv/installed-test ## run real SDKs and model servers against the app; installs their packages
	@.venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.clients

bench: .venv/installed-test ## run the benchmarks, as ratios in one run, into docs/bench.md
	@.venv/bin/python -m bench

soak: .venv/installed-test ## an hour of random kill -9 under load, then the audit
	@.venv/bin/python -m tests.faults.soak

screenshots: .venv/installed-test ## take pictures of every main page: desktop, phone, dark
	@.venv/bin/python -m tests.support.prerequisites
	@.venv/bin/python -m tests.support.screenshots

browsers: .venv/installed-test ## go through the main tasks in Firefox and WebKit, where they are installed
	@.venv/bin/python -m tests.support.other_browsers

matrix: .venv/installed-test ## print what each role gets on each route of the real app
	@WRITE_MATRIX=1 .venv/bin/python -m pytest -q -n 0 tests/security/test_matrix.py
	@cat tests/security/matrix.txt

sbom: ## print a bill of materials of what production installs, in CycloneDX
	@sh dependencies/sbom.sh

audit: .venv/installed-local ## list old packages of production and, with OSV_DATA, known vulnerabilities
	@.venv/bin/python -m dependencies.audit

lock: ## pin the requirements again
	@sh dependencies/lock.sh

# A link to a Python that is gone counts as missing. Without its ensurepip (Debian's python3-venv) a Python leaves half of one.
.venv/bin/python:
	@python=$$(sh devserver/find-python.sh) && echo "Making .venv" && \
	    { "$$python" -m venv --clear .venv || { rm -rf .venv; exit 1; }; }

# What is installed in .venv: a lock that has changed since is installed again.
.venv/installed-local .venv/installed-test: .venv/installed-%: requirements-%.txt .venv/bin/python
	@echo "Installing $< (this once; a minute or two)"
	@.venv/bin/python -m pip install --quiet --require-hashes --disable-pip-version-check -r $<
	@sh devserver/redis-binary.sh
	@touch $(if $(filter test,$*),.venv/installed-local) $@ # the test lock holds all of the local one
