# Two commands on a fresh machine: `make demo` and `make test`. PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs clean

demo: $(VENV)/.installed
	@rm -rf runs/demo
	@$(BIN)/tfssvae train m2 --data digits --labels-per-class 10 --out runs/demo
	@echo "make demo: the run is in runs/demo; look at runs/demo/figures first."

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -m "not slow" -n auto --dist loadgroup
	@echo "make test: the suite passed. Longer checks: $(BIN)/python -m pytest -m slow"

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@echo "make lint: no findings."

docs: $(VENV)/.installed-test
	@$(BIN)/python -m mkdocs build --quiet --strict
	@echo "make docs: the site is in site/; look at it with $(BIN)/python -m http.server -d site"

clean:
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache runs/demo

$(VENV)/bin/python:
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))" \
	  || { echo "Python 3.10 to 3.13 is needed: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip  # old resolvers search for minutes

$(VENV)/.installed: setup.py $(VENV)/bin/python
	@echo "installing tfssvae and what it needs (TensorFlow is large: some minutes the first time)"
	@$(BIN)/python -m pip install --progress-bar on --editable .
	@touch $@

$(VENV)/.installed-test: setup.py $(VENV)/.installed
	@$(BIN)/python -m pip install --progress-bar on --editable ".[test]"
	@touch $@
