# Every target makes ./.venv by itself from the hashed locks; only Python >= 3.11 and make are needed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# The first of these that runs and is new enough; `make PYTHON=/path/to/python3.12 replay` overrules it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
WORKERS ?= 2
RUN ?= runs/sample

.PHONY: help replay test test-compiled test-uncompiled test-bounds campaign check bench bench-books bench-sweep lock clean

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/.ready: requirements/lock.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "simcore needs Python 3.11 or newer: none found. Name one with 'make PYTHON=... replay'." >&2; exit 2; }
	@test -x $(BIN)/python || { echo "making ./.venv with $$($(PYTHON) --version)"; $(PYTHON) -m venv .venv; }
	@echo "installing requirements/lock.txt (about 500 MB, hashes checked)"
	@$(PIP) --require-hashes -r requirements/lock.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q simcore strategies replay_data
	@touch $@

.venv/.ready-dev: .venv/.ready requirements/dev.lock.txt
	@echo "installing requirements/dev.lock.txt"
	@$(PIP) --require-hashes -r requirements/dev.lock.txt
	@touch $@

replay: .venv/.ready  ## replay the embedded synthetic sample; ends by naming the HTML report
	$(BIN)/simcore warmup
	$(BIN)/simcore replay --out $(RUN)

test: test-compiled test-uncompiled test-bounds  ## the whole suite: compiled, then a part uncompiled and bounds-checked

# One process fills the compiler's cache first: several writers of one cache folder race.
test-compiled: .venv/.ready-dev
	$(BIN)/simcore warmup
	$(BIN)/python -m pytest -q -n $(WORKERS)

test-uncompiled: .venv/.ready-dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n $(WORKERS) -m "jitless and not campaign"

test-bounds: .venv/.ready-dev
	NUMBA_BOUNDSCHECK=1 $(BIN)/simcore warmup
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q -n $(WORKERS) -m "jitless and not campaign"

campaign: .venv/.ready-dev  ## the long random campaigns
	$(BIN)/simcore warmup
	$(BIN)/python -m pytest -q -n $(WORKERS) -m campaign --timeout 3600

check: .venv/.ready-dev  ## lint, types, import contracts, banned calls, the packaged config
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_banned_calls.py
	$(BIN)/simcore config check

benchmarks/.peers/%/.ready: benchmarks/peers/%.txt | .venv/.ready
	@echo "installing the peer $* in its own environment"
	@test -x $(@D)/bin/python || $(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@

bench: .venv/.ready benchmarks/.peers/vectorbt/.ready benchmarks/.peers/backtesting/.ready  ## time against the peers, side by side
	$(BIN)/simcore warmup
	$(BIN)/python -m benchmarks.bars
	$(BIN)/python -m benchmarks.start

bench-books: .venv/.ready benchmarks/.peers/hftbacktest/.ready  ## order books against hftbacktest; RECORDINGS="FOLDER..." adds captures
	$(BIN)/simcore warmup --books
	$(BIN)/python -m benchmarks.books $(if $(RECORDINGS),--recordings $(RECORDINGS))

bench-sweep: .venv/.ready benchmarks/.peers/vectorbt/.ready  ## a thousand moving-average pairs against vectorbt
	$(BIN)/simcore warmup
	$(BIN)/python -m benchmarks.sweep

lock:  ## resolve the locks anew (needs uv on the PATH)
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements/lock.txt
	uv pip compile pyproject.toml --group build --group dev -c requirements/lock.txt --universal --python-version 3.11 --generate-hashes \
		--upgrade --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements/dev.lock.txt

clean:  ## remove ./.venv, peers' environments and tool caches
	rm -rf .venv benchmarks/.peers benchmarks/.data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
