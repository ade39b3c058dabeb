# Entry points for people; `make help` lists them. The targets install everything that they need.
SHELL := /bin/sh
.DEFAULT_GOAL := help
HOME_CACHE := $(or $(COMPONENTRUN_HOME),$(HOME)/.cache/componentrun)
BOOTSTRAP := $(HOME_CACHE)/uv/bin/uv
UV := $(BOOTSTRAP)
RUN := $(UV) run --frozen
PYTHON ?= python3
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A pinned uv in its own environment, so that nothing is installed into the system's Python.
$(BOOTSTRAP): requirements-bootstrap.txt
	@echo "==> installing uv into $(HOME_CACHE)/uv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; found: $$($(PYTHON) --version 2>&1). Set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(HOME_CACHE)/uv >/dev/null 2>&1 || \
	  { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv --clear $(HOME_CACHE)/uv; }
	@$(HOME_CACHE)/uv/bin/pip install --quiet --disable-pip-version-check -r requirements-bootstrap.txt
	@touch $@

.venv/.synced: $(BOOTSTRAP) pyproject.toml uv.lock
	@$(UV) sync --frozen --all-extras --quiet
	@touch $@

.PHONY: env
env: .venv/.synced

.PHONY: demo
demo: env ## Start a cluster and run a component on 336,776 flights
	@$(RUN) python -m dev.demo

.PHONY: test
test: env ## All tests: lint, types, unit, integration, end to end on the real cluster
	@$(RUN) python -m dev.check

.PHONY: quick
quick: env ## Lint, types, and the unit tests of what differs from the branch main
	@$(RUN) python -m dev.check.quick

.PHONY: lint
lint: env ## Format, lint rules, import rules, types
	@$(RUN) python -m dev.check lint

.PHONY: unit
unit: env ## Unit tests, without a cluster or a store
	@$(RUN) python -m dev.check unit

.PHONY: store
store: env ## Tests of the object store and the catalog, without a cluster
	@$(RUN) python -m dev.cluster store && $(RUN) pytest -q -n 2 -m "store and not cluster" tests/integration

.PHONY: integration
integration: env ## Integration tests on the cluster (PART=loader for tests/integration/loader)
	@$(RUN) python -m dev.cluster up && $(RUN) pytest -q -n 2 tests/integration/$(PART)

.PHONY: e2e
e2e: env ## Tests of the installed operator (CASE=one_run for e2e/cases/test_one_run.py)
	@$(RUN) python -m dev.cluster up && $(RUN) python -m dev.install && $(RUN) pytest -q $(if $(CASE),e2e/cases/test_$(CASE).py,e2e/cases)

.PHONY: search
search: env ## Property tests with new random examples (make test repeats the same ones)
	@$(RUN) pytest -q -n 2 --hypothesis-profile=search -m "not cluster" $$(grep -rl "from hypothesis" tests/unit)

.PHONY: soak
soak: env ## Long test with hung stores, edited labels and killed parts (MINUTES=30)
	@$(RUN) python -m dev.soak --minutes $(or $(MINUTES),30)

.PHONY: format
format: env ## Format the sources and fix lint errors
	@$(RUN) ruff format . && $(RUN) ruff check --fix .

.PHONY: generate
generate: env ## Write generated files: CRDs, reference pages, the chart's tables
	@$(RUN) python -m dev.generate

.PHONY: cluster
cluster: env ## Start or repair the cluster; with KUBECONFIG, use that one
	@$(RUN) python -m dev.cluster up

.PHONY: cluster-down
cluster-down: env ## Stop the cluster and remove everything
	@$(RUN) python -m dev.cluster down

.PHONY: install
install: env ## Build the images and install the operator on the cluster
	@$(RUN) python -m dev.install

.PHONY: bench
bench: env ## Benchmarks (ONLY=name for one)
	@$(RUN) python -m benchmarks $(ONLY)
