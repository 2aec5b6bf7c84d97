# One word for each thing that a person does here. Everything is installed below .venv and .nox.

PYTHON ?= python3
# More for pytest: make test ARGS="-k frames -x"
ARGS ?=
# Where the demo listens.
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help test check format bench growth knobs demo pictures clean

help: ## what can be made
	@awk -F ' *## *' '/^[a-z]+:.*##/ { sub(/:.*/, "", $$1); printf "make %-8s %s\n", $$1, $$2 }' Makefile

test: .venv/with-nox ## run the suite, on each Python, database and channel layer that is here
	.venv/bin/nox --tags test -- $(ARGS)

check: .venv/with-nox ## look at the source: style, format, types, imports
	.venv/bin/nox --session check

format: .venv/with-nox ## put the source into its format
	.venv/bin/nox --session format

bench: .venv/bench/with-all ## measure against peers, in 10 minutes; ARGS="--help" says what else
	.venv/bench/bin/python -m tests.benchmarks $(ARGS)

growth: .venv/bench/with-all ## measure how cost grows, and draw it into docs/
	.venv/bench/bin/python -m tests.benchmarks.growth $(ARGS)

knobs: .venv/bench/with-all ## measure what settings of the server and the database bring
	.venv/bench/bin/python -m tests.benchmarks.knobs $(ARGS)

demo: .venv/with-demo ## start the demo and print its address; PORT=8000 unless said
	.venv/bin/python demo/manage.py demo $(PORT)

pictures: .venv/with-pictures ## take the README's screenshots anew, of the demo in Chromium
	.venv/bin/python demo/screenshots.py

clean: ## remove everything that was installed or built here
	rm -rf .venv .nox build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/browser/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

# A marker file for each set of packages, so that they are installed once.
.venv/with-nox: | .venv/bin/python
	.venv/bin/python -m pip install --quiet "nox>=2025.2.9"
	@touch $@

# An environment of its own: uvicorn takes uvloop where it finds it, and the suite is to run without.
.venv/bench/with-all: pyproject.toml | .venv/bin/python
	$(PYTHON) -m venv .venv/bench
	.venv/bench/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/bench/bin/python -m pip install --quiet --editable '.[redis,celery]' --group bench
	@touch $@

.venv/with-demo: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --editable '.[celery]'
	@touch $@

.venv/with-pictures: .venv/with-demo
	.venv/bin/python -m pip install --quiet "playwright>=1.50"
	@touch $@
