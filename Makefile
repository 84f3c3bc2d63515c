# make retina: set up and tune a first key.  make test: set up and run all checks.
PYTHON ?= python3
VENV ?= .venv
export PIP_CONSTRAINT := $(abspath constraints.txt)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: retina test clean

retina: $(VENV)/.run-ready
	$(VENV)/bin/python -m prompttune.fit --task retina --overwrite

test: $(VENV)/.test-ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest

$(VENV)/.run-ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --progress-bar on -e .
	touch $@

$(VENV)/.test-ready: $(VENV)/.run-ready
	$(VENV)/bin/pip install --quiet --progress-bar on -e .[test,wandb,hub]
	touch $@

clean:
	rm -rf $(VENV)
