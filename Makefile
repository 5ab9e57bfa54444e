.PHONY: help check test fuzz mutants lock audit docs pages speed bench demo
.DEFAULT_GOAL := help

BIN := .venv/bin
PEERS := .venv-peers/bin

help:  ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '%-8s %s\n' "$$name" "$$what"; done

$(BIN)/pytest: pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@

check: $(BIN)/pytest  ## Lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python typing_tests

test: $(BIN)/pytest  ## Run the tests
	$(BIN)/pytest -q -n auto

fuzz: $(BIN)/pytest  ## Fuzz all parsers, five minutes each
	$(BIN)/pip install -q atheris
	$(BIN)/python fuzz/harness.py 300

mutants: $(BIN)/pytest  ## Try whether the tests notice changes to the core (hours; goes on where it ended)
	$(BIN)/pip install -q mutmut
	$(BIN)/python tests/mutation cover
	$(BIN)/python tests/mutation run

lock: $(BIN)/pytest  ## Pin what CI installs, with hashes
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade -q -o requirements-ci.txt

audit: $(BIN)/pytest  ## Ask for known weaknesses of what is pinned (needs the network)
	$(BIN)/pip install -q pip-audit
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements-ci.txt

docs: $(BIN)/pytest  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

pages: $(BIN)/pytest  ## Write the pages of docs/mapping/ from the mappers
	$(BIN)/python docs/mapping_pages.py

speed: $(BIN)/pytest  ## Measure events a second, against plain Python
	$(BIN)/python benchmarks/compare.py

$(PEERS)/tenzir: benchmarks/peers/requirements.txt
	python3 -m venv .venv-peers
	$(PEERS)/pip install -q -e '.[fast]' -r benchmarks/peers/requirements.txt
	@touch $@

bench: $(PEERS)/tenzir  ## Measure ocsflake against its peers, in an environment of its own
	$(PEERS)/python benchmarks/peers/compare.py --write

demo: $(BIN)/pytest  ## Run the demo on the samples
	$(BIN)/ocsflake demo
