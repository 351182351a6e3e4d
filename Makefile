# `make` or `make help` lists the targets.  Everything that they need is installed into .venv from requirements.lock.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUITE := .venv-nengo
DEMO := out/demo
JOBS ?= 2

.PHONY: help demo test check format bench bench-growth bench-speedup bench-brunel nengo-suite fuzz golden lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@mkdir -p $(VENV)/types && ln -sfn ../../runtime $(VENV)/types/spike_runtime && ln -sfn ../../grammar $(VENV)/types/spike_grammar
	@touch $@

demo: $(READY)  ## compile a real model for 2 partitions, run it, show its plan and a picture of its result
	$(BIN)/spikec compile models/delay_network.spk -n 2 -o $(DEMO)/model
	$(BIN)/spike-run $(DEMO)/model/manifest.json --time 2800ms -o $(DEMO)/run --overwrite --plot $(DEMO)/result.png
	$(BIN)/spikec inspect $(DEMO)/model/manifest.json $(DEMO)/run --svg $(DEMO)/plan.svg
	@echo "The result: $(DEMO)/result.png    The plan: $(DEMO)/plan.svg"

test: $(READY)  ## run all tests, in parallel
	$(BIN)/python -m pytest -n $(JOBS)

check: $(READY)  ## lint, format, types, formatted models
	$(BIN)/ruff check spikec runtime grammar tests
	$(BIN)/ruff format --check spikec runtime grammar tests
	$(BIN)/mypy
	$(BIN)/spikec fmt --check models/*.spk models/bench/*.spk grammar/*.spk

format: $(READY)  ## format code and models
	$(BIN)/ruff check --fix-only --quiet spikec runtime grammar tests
	$(BIN)/ruff format spikec runtime grammar tests
	$(BIN)/spikec fmt models/*.spk models/bench/*.spk grammar/*.spk

bench: $(READY)  ## time the models of models/bench beside Nengo; writes out/bench.json
	$(BIN)/python -m tests.bench --output out/bench.json

bench-growth: $(READY)  ## time compiling and running from 10^4 to 4x10^6 neurons; writes out/growth.json and docs/growth.png
	$(BIN)/python -m tests.bench.growth --output out/growth.json

bench-speedup: $(READY)  ## time a step in 1, 2, 4 and 16 partitions; writes out/speedup.json and docs/speedup.png
	$(BIN)/python -m tests.bench.speedup --output out/speedup.json

bench-brunel: $(READY)  ## time the balanced random network beside NEST and Brian2; writes out/bench_brunel.json
	$(BIN)/python -m tests.bench_brunel --output out/bench_brunel.json

$(SUITE)/.ready: tests/nengo_suite/requirements.lock pyproject.toml
	$(PYTHON) -m venv $(SUITE)
	$(SUITE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/nengo_suite/requirements.lock
	$(SUITE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

nengo-suite: $(SUITE)/.ready  ## run Nengo's own tests on Spike and on Nengo; THIRD=0, 1 or 2 runs a third, PACKAGE=nengo_spa its tests
	$(SUITE)/bin/python -m tests.nengo_suite --jobs $(JOBS) $(if $(THIRD),--third $(THIRD)) $(if $(PACKAGE),--only $(PACKAGE)) $(if $(TRANSLATE),--translate)

SEEDS ?= 0:20
fuzz: $(READY)  ## compare random Nengo networks on Nengo, on Spike and as text; SEEDS=1062:1100 says which
	cd tests && ../$(BIN)/python -m random_networks $(SEEDS)

golden: $(READY)  ## write the golden files of tests/golden again; review the difference
	$(BIN)/python -m pytest -n $(JOBS) tests/test_golden.py --update-golden

lock: $(READY)  ## resolve requirements.lock again (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements.lock
	@mkdir -p out && sed -E 's/ *\\$$//; /^ /d' requirements.lock | grep -vE '^(pytest|setuptools)' > out/constraints.txt
	uv pip compile pyproject.toml tests/nengo_suite/requirements.in -c out/constraints.txt --generate-hashes --no-header --no-annotate --no-emit-index-url -o tests/nengo_suite/requirements.lock

clean:  ## remove what the targets made, but not .venv
	rm -rf out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
