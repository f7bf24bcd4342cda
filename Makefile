# One command each.  `make setup` makes the virtual environment that all others use.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# OpenMM, PyTorch and the rest would each start a thread for every core.
export OMP_NUM_THREADS ?= 1

.PHONY: help quickstart test test-fast check setup bench clean
.DEFAULT_GOAL := help

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/.quickstart ## Run a real DeepDriveMD loop in three modes, predicted and measured
	$(BIN)/python -m stretto.apps.deepdrivemd

test: $(VENV)/.test ## Run all tests, the long ones too
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-fast: $(VENV)/.test ## Run the tests that take no more than two minutes together
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

check: $(VENV)/.test ## Check style, types and the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test ## Measure, as ratios in one run
	$(BIN)/python benchmarks/run_all.py

setup: $(VENV)/.test ## Make the virtual environment, with all that tests need

clean: ## Remove the virtual environment and what tools left behind
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.quickstart: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[deepdrivemd]'
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[deepdrivemd,test]'
	@touch $@ $(VENV)/.quickstart
