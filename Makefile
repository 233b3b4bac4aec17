# Every target brings what it needs: `make demo` is all that a fresh checkout has to be told.
# Needed on the machine: GNU make 3.81 or newer, Python 3.11 or newer, openssl.

PYTHON ?= python3
CONTAINER ?= docker
IMAGE ?= mailproxy:dev
DEMO_ARGS ?=
PYTEST_ARGS ?=
CLUSTER_ARGS ?=
FUZZ ?= 100
BENCH_ARGS ?=
UPGRADE ?= --upgrade

BIN := .venv/bin
READY := .venv/.ready
CRD := crds/mailproxies.mailproxy.dev.yaml
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' operator/mailproxy/__init__.py)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Platform-neutral: hashes of the wheels for all systems, and no address of any package index.
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make locks" $(BIN)/pip-compile --quiet --no-config \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --strip-extras $(UPGRADE)

.PHONY: help demo quick test cluster cluster-down e2e bench bench-live soak lint crds version \
	binaries image locks clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Show the operator at work on a real control plane (options in DEMO_ARGS)
	$(BIN)/python -m tests.demo $(DEMO_ARGS)

quick: $(READY) ## Run the tests that need nothing but Python, in a minute (options in PYTEST_ARGS)
	$(BIN)/pytest tests/unit tests/engine $(PYTEST_ARGS)

test: $(READY) ## Run all tests; those of `make e2e` only on Linux as root (options in PYTEST_ARGS)
	FUZZ=$(FUZZ) $(BIN)/python -m tests.side_by_side $(PYTEST_ARGS)

cluster: $(READY) ## Start a Kubernetes node with Traefik, a mail server and the operator (Linux, root)
	$(BIN)/python -m tests.cluster up $(CLUSTER_ARGS)

cluster-down: $(READY) ## Remove it
	$(BIN)/python -m tests.cluster down

e2e: $(READY) ## Send mail through such a cluster, and attack it (Linux, root; FUZZ=10000 for longer)
	FUZZ=$(FUZZ) $(BIN)/pytest tests/e2e $(PYTEST_ARGS)

bench: $(READY) ## Measure how fast trust follows the edge, against a floor of the same run
	$(BIN)/python -m tests.bench.trust_latency $(BENCH_ARGS)

bench-live: $(READY) ## The same up to a login, in a real cluster (Linux, root; --without-volume-refresh, --ipv6-only)
	$(BIN)/python -m tests.bench.live_trust $(BENCH_ARGS)

soak: $(READY) ## Check for half an hour that the operator stays silent (--minutes in BENCH_ARGS)
	$(BIN)/python -m tests.bench.soak $(BENCH_ARGS)

lint: $(READY) ## Check style, formatting, spelling, types and the layers' imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell . .github
	$(BIN)/mypy
	$(BIN)/lint-imports

crds: $(READY) ## Generate the CRD from the models
	$(BIN)/mailproxy crd > $(CRD).new
	mv $(CRD).new $(CRD)

version: ## Write the version of operator/mailproxy/__init__.py into the manifests
	sed 's/newTag: .*/newTag: $(VERSION)/' manifests/operator/kustomization.yaml >.version.new
	mv .version.new manifests/operator/kustomization.yaml

binaries: $(READY) ## Find or build the test servers and fetch Traefik's CRDs; once, minutes
	$(BIN)/python -m tests.controlplane.binaries

image: ## Build the operator's container image (its name in IMAGE, the builder in CONTAINER)
	$(CONTAINER) build --tag $(IMAGE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) .

locks: $(READY) ## Pin the newest packages that pyproject.toml allows (UPGRADE= keeps what is pinned)
	$(PIP_INSTALL) pip-tools==7.6.2
	$(PIP_COMPILE) --output-file requirements.lock pyproject.toml
	$(PIP_COMPILE) --extra dev --build-deps-for editable \
		--output-file requirements-dev.lock pyproject.toml

clean: ## Remove .venv and all that make and the tests left here; built binaries stay cached
	rm -rf .venv .demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "mailproxy needs Python 3.11 or newer; '$(PYTHON)' is:" \
			"$$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
