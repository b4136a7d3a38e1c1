# Everything runs from .venv, which the first target that needs it makes. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv where it works, because it is many times faster; else pip. Both compile: else the first start would. `make UV= ...` takes pip.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
PIP := $(if $(UV),uv pip install --quiet --compile-bytecode --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
# Every file by its hash. Wheels only: building anything else would fetch what no hash is known of.
LOCKED := $(PIP) --require-hashes --only-binary :all:
# The program itself is built by what the lock brought: nothing is fetched.
EDITABLE := $(PIP) --no-index --no-deps --no-build-isolation -e .

MINUTES := 10
PROCESSES := 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast bench bench-backfill bench-send bench-rules bench-cli fuzz soak check format format-check lint types imports migrations audit pictures commands lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/' | column -t -s'|'

$(BIN)/.installed: requirements.lock pyproject.toml
	@echo "installing into $(VENV) with $(or $(UV),pip): $(if $(UV),some seconds,a minute or two), once"
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements.lock
	$(EDITABLE)
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.installed requirements-dev.lock
	$(LOCKED) -r requirements-dev.lock
	@touch $@

install: $(BIN)/.installed ## Make .venv with the program and what it runs on

demo: $(BIN)/.installed ## Import the sandbox podOS's orders into a fresh desk, and show the report
	@$(BIN)/python -m deployments.stack.demo

test: $(BIN)/.installed-dev ## Run all tests, two at a time
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup --ignore tests/fuzz --ignore tests/integration/docs
	$(BIN)/python -m pytest tests/fuzz tests/integration/docs  # in one process: examples of the docs go on from each other

test-fast: $(BIN)/.installed-dev ## Run the tests that need no server: unit and contract
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal tests/unit tests/contract

bench: $(BIN)/.installed-dev ## Measure the import beside dlt and others (ten minutes; needs Debian's postgresql)
	$(BIN)/python -m tests.benchmarks.run

bench-backfill: $(BIN)/.installed-dev ## Measure a backfill with one, two and four workers
	$(BIN)/python -m tests.benchmarks.backfill

bench-send: $(BIN)/.installed-dev ## Measure handing 10,000 orders over to a webhook
	$(BIN)/python -m tests.benchmarks.send_orders

bench-rules: $(BIN)/.installed-dev ## Measure 1,000 orders under 50 rules
	$(BIN)/python -m tests.benchmarks.rules

bench-cli: $(BIN)/.installed-dev ## Measure commands that only read the desk
	$(BIN)/python -m tests.benchmarks.cli

fuzz: $(BIN)/.installed-dev ## Look for input that breaks a promise: MINUTES=10 in all, SEED=N repeats a round
	$(BIN)/python -m pytest tests/fuzz --timeout 0 --fuzz-minutes $(MINUTES) $(if $(SEED),--fuzz-seed $(SEED))

soak: $(BIN)/.installed-dev ## Everything at once against a podOS at its worst: make soak MINUTES=10 SEED=1
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

audit: $(BIN)/.installed-dev ## No known vulnerable package in the lock files, and only licences that fit
	$(BIN)/python -m tests.support.supply_chain

check: format-check lint types imports migrations audit test ## All that .ci/run asks for

format: $(BIN)/.installed-dev ## Format the code
	$(BIN)/ruff format .

format-check: $(BIN)/.installed-dev
	$(BIN)/ruff format --check .

lint: $(BIN)/.installed-dev ## ruff
	$(BIN)/ruff check .

types: $(BIN)/.installed-dev ## mypy --strict
	$(BIN)/mypy

imports: $(BIN)/.installed-dev ## Each package imports only those below it
	$(BIN)/lint-imports

migrations: $(BIN)/.installed-dev ## The migrations make exactly the tables of models/tables/
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	DESK_DATABASE_URL=sqlite:///$$scratch/desk.db $(BIN)/alembic upgrade head && \
	DESK_DATABASE_URL=sqlite:///$$scratch/desk.db $(BIN)/alembic check

pictures: $(BIN)/.installed-dev ## Take the pictures of the desk's pages anew (needs Chromium)
	$(BIN)/python -m tests.support.pictures

commands: $(BIN)/.installed-dev ## Write docs/commands.md anew from the program
	$(BIN)/python -m tests.support.commands_page

lock: ## Pin the dependencies anew, with their hashes (needs uv)
	$(PYTHON) -m tests.support.lock_files --upgrade

clean: ## Remove .venv and what tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .demo build *.egg-info
