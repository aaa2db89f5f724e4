# `make` lists the targets. Everything that is installed goes into .venv, in the versions of constraints.txt; a second
# call installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A module is compiled when it is first imported, and most of TensorFlow never is.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# Added to the command line of the program or of pytest, as in: make demo ARGS="--port 8051"
ARGS ?=
# Hundreds of tests start a program of ours; without bytecode each compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE
# Processes that share the tests; make test ARGS="-n 0 --pdb" has one, and stops where a test fails.
PYTEST := $(BIN)/python -m pytest --numprocesses 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-faults test-compose bench fuzz mutation lint lint-javascript compose-secrets screenshot clean system-packages

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/installed-demo ## train a small network on handwritten digits (once) and show it in the browser
	@$(BIN)/mloscope demo --folder demo-runs $(ARGS)

test: $(VENV)/installed-dev system-packages ## run the tests, those in a real browser included
	@$(PYTEST) -m "not slow" $(ARGS)

test-all: $(VENV)/installed-dev system-packages ## run the slow tests as well
	@$(PYTEST) --hypothesis-profile many $(ARGS)

bench: $(VENV)/installed-dev system-packages ## measure speed and memory; JSON into benchmarks/results
	@mkdir -p benchmarks/results; failed=0; \
	for script in $$(grep -l '__main__' benchmarks/*.py); do \
		$(BIN)/python "$$script" --json "benchmarks/results/$$(basename "$$script" .py).json" $(ARGS) || failed=1; \
	done; exit $$failed

fuzz: $(VENV)/installed-dev ## damage real files, 10,000 for every reader, and see that each is read or refused cleanly
	@$(BIN)/python -m fuzz $(ARGS)

mutation: $(VENV)/installed-mutation ## change pure modules in one place at a time, and see that their tests notice
	@$(BIN)/python -m mutation $(ARGS)

lint: $(VENV)/installed-dev ## check style and types, and that no part imports what it must not
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@if ! command -v npm >/dev/null; then echo "assets/: types and style are not checked: npm is not installed"; \
	elif ! $(MAKE) --no-print-directory node_modules/installed; then \
		echo "assets/: types and style are not checked: npm cannot install ESLint, Prettier and TypeScript here"; \
	else $(MAKE) --no-print-directory lint-javascript; fi

lint-javascript: node_modules/installed ## check types and style of the browser's modules
	@node_modules/.bin/tsc --project tsconfig.json
	@node_modules/.bin/eslint assets
	@node_modules/.bin/prettier --check --log-level warn "assets/**/*.mjs" eslint.config.mjs

test-faults: $(VENV)/installed-dev system-packages ## kill, hang, fill up and cut what serves a team, and see it get well
	@$(BIN)/python -m pytest tests/faults -m faults -s $(ARGS)

compose-secrets: ## write the two secrets that docker-compose.yml wants into .env, once
	@if [ -e .env ]; then echo ".env is there already; nothing is changed."; else umask 077 && \
		for name in MLOSCOPE_MODEL_SERVICE_TOKEN MLOSCOPE_REDIS_PASSWORD; do \
			echo "$$name=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"; \
		done > .env && echo "Wrote .env; keep it to yourselves."; fi

test-compose: $(VENV)/installed-dev ## build the images and try docker-compose.yml for real, where there is an engine
	@MLOSCOPE_TEST_COMPOSE=1 $(BIN)/python -m pytest tests/deployment -m compose --timeout 1800 $(ARGS)

screenshot: $(VENV)/installed-dev system-packages ## take the README's picture of the demo anew
	@$(BIN)/mloscope demo --folder demo-runs --train-only
	@$(BIN)/python docs/take_screenshot.py $(ARGS)

clean: ## remove what make has made: .venv, demo runs, benchmark results, caches
	@rm -rf $(VENV) node_modules build dist mloscope.egg-info demo-runs benchmarks/results .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "ML-o-scope needs Python 3.11 or newer, and $(PYTHON) is not that; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/installed-demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing ML-o-scope with TensorFlow into $(VENV); the first time takes a minute or two."
	@$(INSTALL) --editable ".[demo]"
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing ML-o-scope with what its tests need into $(VENV); the first time takes a minute or two."
	@$(INSTALL) --editable ".[dev]"
	@touch $(VENV)/installed-demo $@

$(VENV)/installed-mutation: $(VENV)/installed-dev
	@$(INSTALL) --editable ".[mutation]"
	@touch $@

node_modules/installed: package.json .npmrc
	@echo "Installing what checks the JavaScript into node_modules; the first time takes half a minute."
	@npm install --silent
	@touch $@

# What the tests need besides Python packages, as command=package. Where it cannot be installed, they skip and say why.
# Chromium's shell without windows draws a page in a fifth of the time; where apt-get knows none, Chromium itself will do.
SYSTEM := chromium=chromium redis-server=redis-server
test test-all test-faults: SYSTEM := chromium-headless-shell=chromium-headless-shell redis-server=redis-server
test-faults: SYSTEM += cc=gcc ip=iproute2
system-packages:
	@missing=; for each in $(SYSTEM); do \
		command -v "$${each%=*}" >/dev/null || missing="$$missing $${each#*=}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	root=; [ "$$(id -u)" = 0 ] || root="sudo -n"; \
	if command -v apt-get >/dev/null && { [ -z "$$root" ] || $$root true 2>/dev/null; }; then \
		echo "Installing with apt-get:$$missing"; \
		$$root apt-get -qq update && \
		{ apt-cache show chromium-headless-shell >/dev/null 2>&1 || missing=$$(echo $$missing | sed s/-headless-shell//); } && \
		$$root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $$missing >/dev/null \
			|| echo "apt-get cannot install them; tests that need them are skipped, or slower."; \
	else echo "Tests that need these are skipped, or slower, for apt-get cannot install them here:$$missing"; fi
