# Everything that `make` needs beyond python3 and pip it puts into .venv: uv itself, then what uv.lock names (install.py).
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
# Two processes, each with whole files of tests; --no-loadscope-reorder keeps the longest first
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder
INSTALL := $(PYTHON) install.py --venv $(VENV) --uv $(UV_VERSION)
# Python keeps what it compiled, also where it was told not to: each step and each test's process would compile it again
export PYTHONDONTWRITEBYTECODE :=
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := true
export ORT_DISABLE_TELEMETRY := 1

.PHONY: run up test lint types imports unit slow benchmark lock clean help

help: ## What can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.installed ## The main job: the loop of `churn`, on simulated data where there is no other
	@$(BIN)/ml-assets run

up: $(VENV)/.installed ## The Dagster UI and daemon, the MLflow UI, the prediction server; Ctrl-C stops them
	@$(BIN)/ml-assets up

test: lint types imports unit slow ## Lint, types, import rules, unit tests, end-to-end tests

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

imports: $(VENV)/.installed-dev
	@$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed-dev
	@$(BIN)/pytest -q -m "not slow" $(SIDE_BY_SIDE)

slow: $(VENV)/.installed-dev
	@$(BIN)/pytest -q -m slow $(SIDE_BY_SIDE)

benchmark: $(VENV)/.installed-dev ## The tables of benchmarks/README.md
	@$(BIN)/python -m benchmarks

lock: $(VENV)/.installed ## Resolve uv.lock anew
	@UV_SYSTEM_CERTS=1 $(BIN)/uv lock --upgrade

clean: ## Remove the environment (never data)
	rm -rf $(VENV)

$(VENV)/.installed: uv.lock pyproject.toml
	@$(INSTALL)
	@touch $@

$(VENV)/.installed-dev: uv.lock pyproject.toml
	@$(INSTALL) --dev
	@touch $@ $(VENV)/.installed
