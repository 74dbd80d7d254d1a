# `make demo` sets up and runs the main job; `make test` sets up and passes the tests.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Some tests wait for processes: a third worker fills the two cores that a build machine has.
PYTEST_WORKERS ?= 3

# No colours where nobody looks at them.
ifdef CI
export NO_COLOR := 1
PYTEST_COLOUR := --color=no
endif

.DEFAULT_GOAL := help
.PHONY: help install test test-plugins lint format demo up bench nightly pins plugin-woocommerce clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  %-20s %s\n' "$$name" "$$text"; done

install: $(STAMP)  ## Make .venv with the pinned packages (at once when nothing changed)

$(STAMP): requirements/dev.txt requirements/runtime.in pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Shopbridge needs Python 3.11 or newer; set PYTHON=/path/to/python3.'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo 'The venv module of Python is missing. On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@echo 'Setting up .venv (once; a minute or so)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: $(STAMP)  ## Set up and run every check and test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadscope --no-loadscope-reorder $(PYTEST_COLOUR)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash plugins/run-tests.sh

test-plugins: $(STAMP)  ## Only the tests of the shop plugins (needs php)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash plugins/run-tests.sh

lint: $(STAMP)  ## Only the fast checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py $(PYTEST_COLOUR)

format: $(STAMP)  ## Put imports and layout in order
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

demo: $(STAMP)  ## Set up and show the main job with simulated partners
	@$(BIN)/shopbridge demo

up: $(STAMP)  ## Set up and run the bridge on this machine
	@$(BIN)/shopbridge up

bench: $(STAMP)  ## Measure against the limits of this machine
	@$(BIN)/python -m bench

nightly: $(STAMP)  ## The long runs: simulation over many seeds, soak
	@$(BIN)/python -m pytest -m nightly --timeout 3600 $(PYTEST_COLOUR)

pins:  ## Resolve requirements/*.in anew (needs uv)
	@for set in runtime dev; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			requirements/$$set.in -o requirements/$$set.txt || exit 1; \
	done

plugin-woocommerce:  ## Pack plugins/woocommerce into dist/shopbridge-woocommerce.zip
	@$(PYTHON) plugins/pack.py plugins/woocommerce dist/shopbridge-woocommerce.zip

clean:  ## Remove what was made here, except the data in var/
	@rm -rf $(VENV) dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
