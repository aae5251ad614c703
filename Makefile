# make demo   set everything up and run the main job on bundled real data
# make test   set everything up; lint, types, all tests
# make clean  remove both environments
PYTHON ?= python3.11
BIN := .venv/bin
PYTEST_ARGS ?=
# two workers with one thread each: torch, numba and BLAS pools would otherwise fight over the cores
WORKERS ?= 2

.PHONY: demo test lint types setup clean

demo: setup
	$(BIN)/neurosparse demo

test: setup lint types
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

setup: .venv/.installed
	$(BIN)/neurosparse doctor --setup-lava

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .lava
