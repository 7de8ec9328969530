# Guelta: `make` alone prints the verbs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen
TOOLS := build/tools

.PHONY: help setup demo test check up bench screenshots snapshot tools faults

help: ## print the verbs
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(UV) ## install what the product runs with
	$(UV) sync --frozen --no-dev --inexact --quiet

demo: setup ## the whole story on an embedded chain, then the dashboards on loopback
	$(RUN) --no-dev guelta demo $(DEMO)

up: setup ## Dagster and the dashboards together on loopback
	$(RUN) --no-dev guelta up

test: $(UV) tools ## all tests; a skipped one says why
	$(UV) sync --frozen --all-groups --quiet
	$(RUN) --all-groups pytest -n 2 $(PYTEST)

test-%: $(UV) ## the tests of one room: make test-indexer
	$(RUN) --all-groups pytest tests/$* $(PYTEST)

check: $(UV) ## format, lint, types, import law, the house's source bans
	$(UV) sync --frozen --all-groups --quiet
	$(RUN) --all-groups ruff format --check .
	$(RUN) --all-groups ruff check .
	$(RUN) --all-groups mypy
	$(RUN) --all-groups lint-imports
	$(RUN) --all-groups pytest -q tests/test_house.py -m bans

bench: ## every measurement; each prints ratios and writes build/bench/NAME.json
	@for file in bench/[!_]*.py; do $(MAKE) --no-print-directory "bench-$$(basename "$$file" .py)"; done

bench-%: $(UV) ## one measurement: make bench-pages
	$(UV) sync --frozen --all-groups --quiet
	$(RUN) --all-groups python -m bench.$*

screenshots: $(UV) tools ## pictures of every page, both themes, into docs/screenshots
	$(UV) sync --frozen --all-groups --quiet
	$(RUN) --all-groups python -m bench.screenshots --to docs/screenshots

snapshot: $(UV) ## rewrite the graph snapshot after its diff was read
	$(RUN) --all-groups python tests/graph.py > tests/graph.txt

# What tests use beside Python, where a package manager allows; without it their tests skip and say why.
tools:
	@mkdir -p $(TOOLS)
	@if command -v npm >/dev/null && ! ls $(TOOLS)/node_modules/@foundry-rs/anvil-*/bin/anvil >/dev/null 2>&1; then \
	  echo "installing anvil and solc through npm"; \
	  npm install --prefix $(TOOLS) --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
	    @foundry-rs/anvil@1.7.1 solc@0.8.37 @openzeppelin/contracts@5.7.0 || echo "npm could not install them: their tests skip"; fi
	@if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null \
	    && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "installing Chromium"; \
	  (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 || echo "no Chromium: browser tests skip"; fi

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
