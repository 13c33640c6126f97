# make demo | reproduce | test | check | clean: each makes .venv first when it is missing or out of date.
PYTHON ?= python3
VENV   ?= .venv
SCALE  ?= laptop
OUT    ?= demo
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo reproduce test check format install clean

demo: $(READY)
	$(BIN)/dgex demo $(OUT) --scale $(SCALE) --overwrite

reproduce: $(READY)
	$(BIN)/dgex reproduce study

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "dgex needs Python 3.11 or later, found " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(OUT) build .mypy_cache .ruff_cache .pytest_cache
