# make demo   set everything up and run the main job on bundled real data
# make test   set everything up; lint, types, all tests
# make bench  compare with the peers of `make peers`; rewrite the README's figures
# make peers  an environment for each peer of the benchmarks (benchmarks/README.md)
# make clean  remove all environments
PYTHON ?= python3.11
BIN := .venv/bin
PYTEST_ARGS ?=
# two workers with one thread each: torch, numba and BLAS pools would otherwise fight over the cores
WORKERS ?= 2
PEERS ?= .peers

.PHONY: demo test lint types setup bench peers clean

demo: setup
	$(BIN)/neurosparse demo

test: setup lint types
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

bench: .venv/.installed
	$(BIN)/neurosparse bench --peers $(PEERS) --out benchmarks/results
	$(BIN)/python docs/update_readme.py --no-demo

peers: $(patsubst benchmarks/peers/%.txt,$(PEERS)/%/.installed,$(wildcard benchmarks/peers/*.txt))

$(PEERS)/%/.installed: benchmarks/peers/%.txt
	$(PYTHON) -m venv $(PEERS)/$*
	$(PEERS)/$*/bin/python -m pip install --quiet torch==2.13.0 'numpy<2.4'
	$(PEERS)/$*/bin/python -m pip install --quiet --no-deps -r $<
	touch $@

setup: .venv/.installed
	$(BIN)/neurosparse doctor --setup-lava

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	# alone: the harness's data sets would pull a CUDA build of torchaudio, and only its metrics are compared with ours
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps neurobench
	touch $@

clean:
	rm -rf .venv .lava .peers
