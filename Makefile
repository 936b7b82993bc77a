# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
ON_EVERY_CELERY := tests/unit tests/worker $(addprefix tests/product/test_,run.py kills.py cluster.py)

.PHONY: help venv demo test check faults soak bench docs wheel clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 14

venv: ## the virtual environment .venv, from hashed requirements
	@tools/venv .venv dev

demo: venv ## the census of this Python's standard library: one run, on a private Valkey
	@$(BIN)/firex run census -t examples/census.py

check: venv ## lint, types, layers, sizes, unit tests (under a minute)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/sizes.py
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/basedpyright --verifytypes firexkit --ignoreexternal | grep "Type completeness"
	$(BIN)/pytest tests/unit tests/contract -q -n 2

test: venv ## every test, faults included, on the locked Celery; most on the oldest supported and the newest
	@tools/system-packages zsh fish
	@tools/venv .venv-oldest oldest
	@tools/venv .venv-newest newest
	$(BIN)/pytest tests -q -n 2 -m "not soak"
	.venv-oldest/bin/pytest $(ON_EVERY_CELERY) -q -n 2
	.venv-newest/bin/pytest $(ON_EVERY_CELERY) -q -n 2

faults: venv ## one fault each in real runs: processes and servers that die, commands that get lost, outages
	$(BIN)/pytest tests/faults -m "faults and not soak" -q -n 2

soak: venv ## the same for long: 200 random runs, every command lost once, every point of a crash three times
	seed=$${SEED:-$$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}; echo "seed $$seed"; \
	FIREXKIT_FAULTS_SEED=$$seed FIREXKIT_FAULTS_RUNS=200 FIREXKIT_FAULTS_ALL=1 FIREXKIT_FAULTS_HITS=3 \
	FIREXKIT_FAULTS_EXAMPLES=100 FIREXKIT_FAULTS_OUTAGE=60 FIREXKIT_FAULTS_FIGURES=soak.jsonl \
	FIREXKIT_FAULTS_REVOKED=1000 FIREXKIT_FAULTS_LONG=100 \
	$(BIN)/pytest tests/faults tests/worker -m "faults or soak" -q -n 2

bench: venv ## measure, as ratios to plain Celery in the same run
	$(BIN)/python -m benchmarks

docs: venv ## write the generated pages, and build the site into site/
	$(BIN)/python tools/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: venv ## build the wheel into dist/
	$(BIN)/python -m build --no-isolation --wheel

clean: ## remove what the other targets made
	rm -rf .venv .venv-oldest .venv-newest dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
