# Regrasp: every target does the set-up it needs. Settings: VENV (.venv), ROOT (workspace), QUICK=1, PYTHON (python3),
# SECONDS_EACH (600).

VENV ?= .venv
ROOT ?= $(or $(REGRASP_ROOT),workspace)

SHELL := bash
BIN := "$(VENV)/bin"
export REGRASP_ROOT := $(ROOT)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all fuzz peers ui app
SECONDS_EACH ?= 600

help: ## list the targets
	@echo "make TARGET [VENV=.venv] [ROOT=workspace] [QUICK=1]"
	@grep -hE '^[a-z-]+:.*## ' Makefile | while IFS=: read -r name text; do printf '  %-10s %s\n' "$$name" "$${text##*## }"; done

setup: ## virtual environment, pinned packages, system libraries; a second run does nothing
	@./setup.sh "$(VENV)"

demo: setup ## the whole loop in simulation, ends with one table (QUICK=1: a few minutes)
	@$(BIN)/regrasp demo $(if $(filter-out 0,$(QUICK)),--quick)

test: setup ## lint, types and all tests but the slow ones
	@$(call check)

test-all: setup ## the same with the slow tests: the full demo, many minutes long
	@$(call check,-m "")

fuzz: setup ## every reader against spoiled files, SECONDS_EACH (600) seconds each; what it finds goes to fuzz-findings/
	@OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 PYTHONPATH=. $(BIN)/python tests/fuzz_readers.py --seconds $(SECONDS_EACH)

peers: setup ## the speed of episodes beside LeRobot, in an environment of its own (.peers, 8 GB)
	@test -x .peers/bin/python || $(or $(PYTHON),python3) -m venv .peers
	@.peers/bin/python -m pip install -q -c speed/peers.txt lerobot
	@OMP_NUM_THREADS=1 $(BIN)/python -m speed.episodes --peers .peers/bin/python

ui: setup ## the asset graph in the Dagster UI, on this machine only
	@DAGSTER_HOME="$$(realpath -m -- "$$REGRASP_ROOT")/dagster" $(BIN)/regrasp ui

app: setup ## the labeling app in the browser
	@$(BIN)/regrasp app

# Every check runs and reports, whatever the ones before it said; pytest's closing line is the last one printed.
define check
export OMP_NUM_THREADS=1; failed=0; \
$(BIN)/python -m ruff check . || failed=1; \
$(BIN)/python -m ruff format --check . || failed=1; \
$(BIN)/python -m mypy || failed=1; \
$(BIN)/python -m pytest -n 2 --dist loadgroup $(1) || failed=1; \
exit $$failed
endef
