.PHONY: help check test docs pages bench demo
.DEFAULT_GOAL := help

BIN := .venv/bin

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

test: $(BIN)/pytest  ## Run the tests
	$(BIN)/pytest -q -n auto

docs: $(BIN)/pytest  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

pages: $(BIN)/pytest  ## Write the pages of docs/mapping/ from the mappers
	$(BIN)/python docs/mapping_pages.py

bench: $(BIN)/pytest  ## Measure events a second and memory
	$(BIN)/python benchmarks/compare.py

demo: $(BIN)/pytest  ## Run the demo on the samples
	$(BIN)/ocsflake demo
