# Every target makes what it lacks; the environment is .venv/ in this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: serve classify test lint train export bench clean

serve: $(VENV)/.serve ## start the server with the shipped model
	exec $(BIN)/python -m serve

classify: $(VENV)/.serve ## one answer on the terminal: FILE=song.mp3 or URL=https://…
	@$(BIN)/python -m serve classify $(if $(URL),"$(URL)") $(if $(FILE),"$(FILE)")

test: $(VENV)/.dev ## the whole suite, with coverage
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(VENV)/.dev ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: $(VENV)/.train ## DATA=folder: a GTZAN folder or a NumPy dataset to a checkpoint in runs/
	$(BIN)/python -m train $(DATA) $(OPTIONS)

export: $(VENV)/.train ## the newest checkpoint, or RUN=folder, to the checked model file that is served
	$(BIN)/python -m export $(RUN) $(OPTIONS)

bench: $(VENV)/.bench ## the latency of every stage, and librosa beside it
	# As in a decoder process: one thread of BLAS.
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks $(OPTIONS)

clean: ## forget the environment
	rm -rf $(VENV)

$(BIN)/python:
	PYTHON=$(PYTHON) deploy/system-packages
	$(PYTHON) -m venv $(VENV)

# The stamps are newer than what they were made from; each later one holds what the first holds.
$(VENV)/.serve: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

$(VENV)/.train: $(VENV)/.serve
	$(INSTALL) -e '.[train]'
	touch $@

$(VENV)/.bench: $(VENV)/.serve
	$(INSTALL) -e '.[bench]'
	touch $@

$(VENV)/.dev: $(VENV)/.serve
	$(INSTALL) -e '.[dev,train,bench]'
	touch $(VENV)/.train $(VENV)/.bench $@
