# make demo        a first search, and a picture of its fitness curves
# make test        lint, types and tests, the wheel included
# make test-long   the tests that take minutes each: the same faults again and again, at random moments
# make test-oldest the tests with the oldest dependencies; test-3.12 and test-3.13: on that interpreter
# make docs        the documentation as HTML, in build/docs; warnings are errors
# make release-check  build sdist and wheel, check them, install and use the wheel on each interpreter that is here
# make lint        style and types alone
# make format      rewrite the code in the project's style
# make benchmarks  how to run the measurements
# make clean       remove everything that these commands made, except runs/

PYTHON ?= python3
TEST_WORKERS ?= 2
PYTEST_ARGS ?=
CONSTRAINTS ?= constraints.txt

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The package as one tree of links, for the type checker: it does not follow the mapping of folders in pyproject.toml.
TREE := build/types
DEMO := runs/sinusoid
# The files with tests of equal bits: collecting the others takes longer than the tests.
BITS = $(shell grep -rlw mark.bits tests)
LONG = $(shell grep -rlw mark.long tests)

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-oldest test-3.12 test-3.13 docs release-check lint types format benchmarks clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit("evometa needs Python 3.11 or newer; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml $(CONSTRAINTS)
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable .
	@touch $@

.venv/installed-test: .venv/installed
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable ".[test]"
	@touch $@

demo: .venv/installed
	@if [ -e $(DEMO) ]; then echo "$(DEMO) is there already: plotting it. Remove it to search again."; \
	else $(BIN)/evometa run sinusoid --num-tasks 4 --strategy openai-es --strategy.population-size 512 \
		--strategy.tasks-per-pair --strategy.shaping pair_difference --seconds 60 --validate-every 50 --run-directory $(DEMO); fi
	$(BIN)/evometa plot $(DEMO)

test: lint
	EVOMETA_TEST_BITS=1 $(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) -m bits $(or $(PYTEST_ARGS),$(BITS)) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist worksteal -m "not bits" $(PYTEST_ARGS)

test-long: .venv/installed-test
	EVOMETA_TEST_BITS=1 EVOMETA_TEST_LONG=1 $(BIN)/python -m pytest -m long $(or $(PYTEST_ARGS),$(LONG))

test-oldest:
	tests/versions.sh python3.11 constraints-oldest.txt $(PYTEST_ARGS)

test-3.12 test-3.13: test-%:
	tests/versions.sh python$* $(CONSTRAINTS) $(PYTEST_ARGS)

docs: .venv/installed
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable ".[docs]"
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs build/docs
	@echo build/docs/index.html

release-check:
	tests/release.sh

lint: .venv/installed-test types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-test
	@rm -rf $(TREE) && mkdir -p $(TREE)/evometa
	@ln -s $(CURDIR)/evometa/* $(CURDIR)/strategies $(CURDIR)/problems $(TREE)/evometa/
	cd $(TREE) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.cache/mypy --package evometa

format: .venv/installed-test
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

benchmarks:
	@echo "Measurements are never part of the tests. Install what they compare with, then run one by its name:"
	@echo "  $(PIP) install --constraint $(CONSTRAINTS) --editable '.[benchmark]'"
	@for file in benchmarks/*.py; do [ ! -e "$$file" ] || echo "  $(BIN)/python $$file"; done
	@echo "benchmarks/README.md holds the tables and the command that printed each."

clean:
	rm -rf .venv .venvs .cache build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
