# make demo | reproduce | test | test-newest | test-oldest | check | docs | look | links | release | fuzz | kills | faults | clean: each makes .venv first when it is missing or out of date.
PYTHON ?= python3
VENV   ?= .venv
SCALE  ?= laptop
OUT    ?= demo
MINUTES ?= 10
FIRST  ?= 0
JOBS   ?= 1
KILLS  ?= 200
FAULTS ?= 100
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# What depends on the versions beneath: files, arithmetic, the command line. How processes end, where outputs may be
# written and how a package is built is our own and the same on all.
FAST   := tests/io tests/dataset tests/prepare tests/confidence tests/models tests/inference tests/cli $(addprefix --ignore=,tests/cli/test_torchrun.py \
            tests/cli/test_places.py tests/models/test_plug_in.py)
# the first of some Pythons that runs, on the path or among pyenv's
first   = $(firstword $(foreach p,$(1),$(shell for c in $(p) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin/$(p); do \
            $$c -c '' 2>/dev/null && echo $$c && break; done)))
NEWEST ?= $(call first,python3.13 python3.12)
OLDEST ?= $(call first,python3.11)
LIST   := pip list --disable-pip-version-check

.PHONY: demo reproduce test test-newest test-oldest check docs look links release fuzz kills faults format install clean

demo: $(READY)
	$(BIN)/dgex demo $(OUT) --scale $(SCALE) --overwrite

reproduce: $(READY)
	$(BIN)/dgex reproduce study

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

# The newest of everything, without torch, whose builds for these Pythons weigh gigabytes: tests that need it are skipped.
test-newest:
ifeq ($(NEWEST),)
	@echo "matrix: newest versions SKIPPED: neither python3.13 nor python3.12 is here"
else
	$(NEWEST) -m venv --clear .venv-newest
	.venv-newest/bin/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*[d for d in p["dependencies"] if not d.startswith("torch")], sep="\n")' > .venv-newest/wanted.txt
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check -r .venv-newest/wanted.txt pytest pytest-xdist hypothesis
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@echo "matrix: newest versions on $$(.venv-newest/bin/python --version), without torch"; .venv-newest/bin/python -m $(LIST)
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -n 2 --dist loadgroup $(FAST)
endif

test-oldest:
ifeq ($(OLDEST),)
	@echo "matrix: oldest versions SKIPPED: python3.11 is not here"
else
	$(OLDEST) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt torch
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e . pytest pytest-xdist hypothesis
	@echo "matrix: oldest versions on $$(.venv-oldest/bin/python --version)"; .venv-oldest/bin/python -m $(LIST)
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n 2 --dist loadgroup $(FAST)
endif

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, every tutorial executed (kept in build/docs as long as neither dgex nor the tutorial changes); nothing is fetched.
docs: $(VENV)/.ready-docs
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs/html
	@echo "site: build/docs/html/index.html"

# Every page of the site in a real browser: console, requests, contrast by day and in the dark, names, telephone, keyboard.
look: docs
	$(BIN)/python docs/dgex_site/looked.py build/docs/html

# Links to other places, where there is a network.
links: $(VENV)/.ready-docs
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -b linkcheck docs build/docs/links

# Sdist and wheel, looked into, installed elsewhere and run; tagged only with RELEASE=--tag, never pushed (RELEASE=--light: nothing fetched).
release: $(READY)
	$(BIN)/python packaging/release.py $(RELEASE)

# Every command that writes, killed at any moment and run again.
kills: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/kills.py --kills $(KILLS)

# Kills, short writes, full disks, read errors, lost and damaged parts, over streamed and sharded inference.
faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/faults.py --kills $(FAULTS)

# Damaged inputs of every kind; other ones with another FIRST.
fuzz: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/run.py --minutes $(MINUTES) --first $(FIRST) --jobs $(JOBS)

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

$(VENV)/.ready-docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-newest .venv-oldest $(OUT) build .mypy_cache .ruff_cache .pytest_cache
