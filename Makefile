.DEFAULT_GOAL := help
.PHONY: help setup page lint types test docs demo lab gallery clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## a virtual environment, the page's tools, the built page and a Chromium, as far as they can be had
	@PYTHON=$(PYTHON) .ci/setup

page: ## build the page again
	cd js && npm run --silent build

lint: setup ## style and import rules, both sides
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	cd js && npm run --silent lint

types: setup ## types, both sides
	$(BIN)/mypy
	cd js && npm run --silent typecheck

test: setup ## everything: Python, page, browser
	cd js && npm test --silent
	$(BIN)/python -m pytest $(ARGS)

docs: setup ## the reference, from docstrings, in build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

demo: setup ## run the start-here notebook on real weights; leaves the executed notebook and an interactive page
	@$(BIN)/python .ci/demo.py $(DEMO)

lab: demo ## open the notebook in JupyterLab
	$(BIN)/jupyter lab $$([ "$$(id -u)" = 0 ] && echo --allow-root) $$(ls $(DEMO)/start-here.ipynb $(DEMO)/induction.ipynb 2>/dev/null | head -1)

gallery: setup ## screenshots of every view in build/gallery, and those the README shows
	$(BIN)/python -m tests.browser.gallery build/gallery

clean: ## forget everything that was built
	rm -rf build dist $(VENV) js/node_modules src/attnscope/static
