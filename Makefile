# Every target makes .venv first if it has to; a second call finds the stamp and is instant.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PEERS  := .venv-peers
PROTOC := .venv-protos

SCRIPT ?= examples/digits_mlp.py
LOGDIR ?= runs
ARGS   ?=

# The first interpreter that starts, is new enough and can make environments. A name on PATH is
# not enough: version managers leave names there that only print an error.
FIND_PYTHON = for p in $(PYTHON) python3 python3.12 python3.11 python3.13; do \
	  if "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	    >/dev/null 2>&1; then echo "$$p"; exit 0; fi; \
	done; \
	echo "No Python 3.11, 3.12 or 3.13 with the venv module was found." >&2; \
	echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; \
	echo "or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

.PHONY: help setup train test lint format types protos bench bench-peers parity tensorboard doctor clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@echo
	@echo "  SCRIPT=$(SCRIPT)  ARGS='--mode sync --epochs 5'  for train"
	@echo "  ARGS='tests/unit -k ledger -x'                             for test"

setup: $(STAMP)  ## make .venv and install Shardtape with its pinned dependencies

$(STAMP): pyproject.toml setup.py requirements.lock
	@test -x $(BIN)/python || { python=$$($(FIND_PYTHON)); echo "making $(VENV) with $$python"; "$$python" -m venv $(VENV); }
	@echo "installing Shardtape and its pinned dependencies into $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

train: setup  ## train SCRIPT with the parameter server on this machine
	$(BIN)/shardtape train $(SCRIPT) $(ARGS)

# The tests start hundreds of processes, which load the package in half the time where its
# bytecode is kept; an empty variable is none.
test: setup  ## all tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(ARGS)

lint: setup  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The folders are mapped to the package by setuptools, which type checkers do not read: so a real
# copy is installed aside and checked, and the paths in the messages are mapped back. It is built
# in a fresh directory: a stale build/ would ship modules that are gone from the tree.
types: setup  ## mypy on an installed copy of the package
	@rm -rf .types
	@build=$$(mktemp -d); trap 'rm -rf "$$build"' EXIT; \
	  printf '[build]\nbuild_base = %s\n' "$$build" > "$$build/setup.cfg"; \
	  DIST_EXTRA_CONFIG="$$build/setup.cfg" $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check --no-deps --no-build-isolation --target .types .
	@MYPYPATH=.types $(BIN)/mypy -p shardtape 2>&1 | \
	  sed -E 's#\.types/shardtape/(ps|workers|protos|deploy)/#\1/#; s#\.types/shardtape/#framework/#' | cut -c1-400

# The compiler is older than the installed protobuf on purpose (generated code runs on its own
# version and newer ones), so it has an environment of its own; its pins are the extra `protos`.
$(PROTOC)/.installed: pyproject.toml
	@test -x $(PROTOC)/bin/python || { python=$$($(FIND_PYTHON)); "$$python" -m venv $(PROTOC); }
	$(PROTOC)/bin/python -m pip install --quiet --disable-pip-version-check $$($(PROTOC)/bin/python -c \
	  'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["protos"])')
	@touch $@

protos: $(PROTOC)/.installed  ## generate protos/*_pb2* again with the pinned compiler
	$(PROTOC)/bin/python protos/generate.py

bench: setup  ## run every script of benchmarks/, print one table, keep JSON in benchmarks/results/
	$(BIN)/python benchmarks/run.py $(ARGS)

$(PEERS)/.installed: benchmarks/peers/requirements.txt
	@test -x $(PEERS)/bin/python || { python=$$($(FIND_PYTHON)); "$$python" -m venv $(PEERS); }
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	@touch $@

bench-peers: $(PEERS)/.installed  ## an environment of its own with TensorFlow, PyTorch and Ray to compare with

# SHARDTAPE_PARITY_PYTHON names an interpreter that has TensorFlow; that of bench-peers is the default
parity: setup  ## run the parity cases in an installed TensorFlow and report the differences
	$(BIN)/python tests/parity/compare.py $(ARGS)

tensorboard: setup  ## TensorBoard on LOGDIR
	$(BIN)/tensorboard --logdir $(LOGDIR) $(ARGS)

doctor: setup  ## check this machine
	$(BIN)/shardtape doctor $(ARGS)

clean:  ## remove environments, caches and build products; runs/ and checkpoints/ stay
	rm -rf $(VENV) $(PEERS) $(PROTOC) .types build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
