# Two commands do everything: `make demo` and `make test`. The rest is for those who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Emulated boards, environments of other runtimes and counts are made once and kept here.
export EDGE_AIGC_CACHE ?= $(CURDIR)/.cache
SOURCES := edge_aigc converters devices tests benchmarks examples

.PHONY: help setup torch demo test heavy check bench suite estimates matrix counts clean

help:
	@echo "make demo    set up, convert the digits generator, serve it over MQTT, save what arrives"
	@echo "make test    set up and run the fast tests"
	@echo "make heavy   run the slow tests: PyTorch, other runtimes in their own environments, faults under load"
	@echo "make check   formatting, lint, types, import contracts, the built wheel"
	@echo "make bench   measure: conversion, the road from request to subscriber, footprint, instructions"
	@echo "make suite   twelve generators, ours against TFLite, ONNX Runtime and PyTorch; JSON=FILE keeps the figures"
	@echo "make estimates  hold estimated times and memory against measured ones; wants a quiet machine"
	@echo "make matrix  the digits on every emulated board; MODELS=\"FILE.keras...\" for others"
	@echo "make counts  count again what ships counted; BUNDLES=\"FILE...\" adds theirs"

setup: $(VENV)/.ready

$(VENV)/.ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV) || { echo "Install Python's venv first: apt-get install -y python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[convert,onnx,demo,test]'
	touch $@

# PyTorch's releases come with or without CUDA; any will do, and a CPU build is far smaller.
TORCH ?= torch==2.13.0
torch: $(VENV)/.torch

$(VENV)/.torch: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)' --editable '.[convert,onnx,demo,test,torch]'
	touch $@

demo: setup
	$(BIN)/edge-aigc demo --output demo-output

test: setup
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not heavy" tests
	$(BIN)/python -m pytest --doctest-modules --pyargs edge_aigc.spec edge_aigc.devices.catalog \
	    edge_aigc.converters.targets.edgetpu.table edge_aigc

heavy: setup torch
	$(BIN)/python -m pytest -m heavy tests

check: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/wheel.py

bench: setup
	$(BIN)/python benchmarks/conversion.py
	$(BIN)/python benchmarks/road.py
	$(BIN)/python benchmarks/footprint.py
	$(BIN)/python benchmarks/repeatability.py
	$(BIN)/python benchmarks/instructions.py
	$(BIN)/python benchmarks/loops.py

suite: setup torch
	$(BIN)/python benchmarks/suite.py $(if $(JSON),--json $(JSON))
	$(BIN)/python benchmarks/suite.py --counted rpi4 --counted rpi5

estimates: setup
	$(BIN)/python benchmarks/estimates.py

matrix: setup
	$(BIN)/python benchmarks/emulation_matrix.py $(MODELS)

counts: setup
	$(BIN)/python benchmarks/fill_counts.py --prune $(BUNDLES)

clean:
	rm -rf $(VENV) .cache build dist demo-output *.egg-info
