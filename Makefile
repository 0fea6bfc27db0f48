# Every target makes what it lacks; the environment is .venv/ in this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: serve classify tune test lint data train folds search evaluate report export bench bench-compare bench-gate profile chaos fuzz audit image docs targets-check clean

serve: $(VENV)/.serve ## start the server with the shipped model
	exec $(BIN)/python -m serve

classify: $(VENV)/.serve ## one answer on the terminal: FILE=song.mp3 or URL=https://…
	@$(BIN)/python -m serve classify $(if $(URL),"$(URL)") $(if $(FILE),"$(FILE)")

tune: $(VENV)/.serve ## measure how the model runs best here, and have the server know it
	$(BIN)/python -m serve tune

test: $(VENV)/.dev ## the whole suite; OPTIONS="--cov" for coverage, which takes half as long again
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(OPTIONS)

lint: $(VENV)/.dev ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

data: $(VENV)/.train ## DATA=folder, SPLITS=lists: only the NumPy dataset, in data/
	$(BIN)/python -m train data $(DATA) $(if $(SPLITS),--splits $(SPLITS)) $(OPTIONS)

train: $(VENV)/.train ## DATA=folder, ARTISTS=table: a GTZAN folder or a NumPy dataset to a checkpoint in runs/; RESUME=run
	$(BIN)/python -m train fit $(DATA) $(if $(SPLITS),--splits $(SPLITS)) $(if $(ARTISTS),--artists $(ARTISTS)) $(if $(RESUME),--resume $(RESUME)) $(OPTIONS)

folds: $(VENV)/.train ## DATA=folder, ARTISTS=table: a run for each artist-grouped fold; RESUME=folds
	$(BIN)/python -m train folds $(DATA) $(if $(ARTISTS),--artists $(ARTISTS)) $(if $(RESUME),--resume $(RESUME)) $(OPTIONS)

search: $(VENV)/.train ## DATA=folder, SPACE=file.toml: runs over a space of recipes; RESUME=search
	$(BIN)/python -m train search $(DATA) $(if $(SPACE),--space $(SPACE)) $(if $(SPLITS),--splits $(SPLITS)) $(if $(ARTISTS),--artists $(ARTISTS)) $(if $(RESUME),--resume $(RESUME)) $(OPTIONS)

evaluate: $(VENV)/.train ## scores of the newest run, or RUN=folder
	$(BIN)/python -m train evaluate $(RUN) $(OPTIONS)

report: $(VENV)/.train ## a page about the newest run, or RUN=folder
	$(BIN)/python -m train report $(RUN) $(OPTIONS)

export: $(VENV)/.train ## the newest checkpoint, or RUN=folder, to the checked model file that is served
	$(BIN)/python -m export $(RUN) $(OPTIONS)

bench: $(VENV)/.bench ## the latency of every stage as JSON and a page; OPTIONS=quick, goals, …
	$(BIN)/python -m benchmarks $(OPTIONS)

bench-compare: $(VENV)/.bench ## BASE=file.json: what changed since; NEW=file.json, else the newest
	$(BIN)/python -m benchmarks.compare $(BASE) $(NEW) $(OPTIONS)

bench-gate: $(VENV)/.bench ## ratios that have to hold on any machine, however busy
	$(BIN)/python -m benchmarks gate

profile: $(VENV)/.bench ## a flame graph of the server and its decoders under load, in runs/bench
	$(BIN)/python -m benchmarks.profile $(OPTIONS)

chaos: $(VENV)/.dev ## ten minutes of load, faults and kills, and the account of it: DURATION=600, SEED=…
	$(BIN)/python -m tests.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED)) $(OPTIONS)

fuzz: $(VENV)/.dev ## mutated files and requests, each of which has to get a code: COUNT=1000, SEED=…
	$(BIN)/python -m tests.fuzz $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(OPTIONS)

audit: $(VENV)/.dev ## what the server consists of (build/sbom.json), its licences, and known advisories
	$(BIN)/python -m deploy.audit $(OPTIONS)

image: ## VARIANT=cpu, cuda or catalogue: the container image, with ENGINE=docker or podman
	$(or $(ENGINE),docker) build -f deploy/Containerfile --build-arg VARIANT=$(or $(VARIANT),cpu) -t topgenre:$(or $(VARIANT),cpu) .

docs: $(VENV)/.dev ## docs/ as a site in build/docs; what is wrong in it, links too, is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs

targets-check: $(VENV)/.dev ## every target once, in an environment of its own extra alone: ONLY="bench profile"
	$(BIN)/python -m tests.targets $(ONLY)

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

$(VENV)/.dev: $(VENV)/.serve deploy/system-packages tests/clients/deno.lock
	deploy/system-packages tests
	$(INSTALL) -e '.[dev,train,bench]'
	# One test alone needs them, and says so where npm's registry can't be reached.
	-cd tests/clients && DENO_DIR=$(CURDIR)/$(VENV)/deno $(CURDIR)/$(BIN)/deno install --frozen --quiet
	touch $(VENV)/.train $(VENV)/.bench $@
