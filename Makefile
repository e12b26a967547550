# The two commands that matter are "make demo" and "make test"; "make help" lists all.
# They need Python 3.11 or later with venv, and nothing else installed.

PYTHON ?=
VENV = .venv$(addprefix -,$(notdir $(PYTHON)))
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check

# These stamps say what is installed.  A virtual environment that does not run (Python
# was upgraded, say), or was made for another folder, is made again.
RUNS = $(VENV)/.runs
TESTS = $(VENV)/.tests

ifneq ($(shell { $(BIN)/python -c "" && cat $(RUNS); } 2>/dev/null),$(CURDIR))
.PHONY: $(RUNS)
endif

# What "make bench" compares beside HAProxy, and options of tests.bench.
PEERS ?=
BENCH ?=

.PHONY: help demo test lint types docs bench dist clean

help:
	@echo "make demo    start a server, a client and a small web service, and publish it"
	@echo "make test    all that must be right: lint, types, tests, docs"
	@echo "make lint    ruff: its rules and its format"
	@echo "make types   mypy"
	@echo "make docs    the documentation, in build/docs"
	@echo "make bench   how fast it is, beside HAProxy; figures and a picture in build/bench"
	@echo "make dist    a wheel, in dist"
	@echo "make clean   remove what these made"
	@echo
	@echo "make bench PEERS=\"rathole bore frp ssh\" compares those too that are on PATH, and"
	@echo "make bench BENCH=\"--rounds 5\" passes options on: .venv/bin/python -m tests.bench -h"
	@echo "make PYTHON=/path/to/python3.12 ... uses that Python, in a .venv of its own."

demo: $(RUNS)
	@$(BIN)/python -m tunnelkit.commands.demo

test: $(TESTS)
	@$(BIN)/python -m tests.check

lint types docs: $(TESTS)
	@$(BIN)/python -m tests.check $@

bench: $(RUNS)
	@$(BIN)/python -m tests.bench --json build/bench/figures.json \
		--svg build/bench/picture.svg --rst build/bench/table.txt \
		--peers $(PEERS) $(BENCH)
	@$(BIN)/python -m tests.bench.datagrams --json build/bench/datagrams.json \
		--peers $(PEERS)
	@$(BIN)/python -m tests.bench.sharing --json build/bench/sharing.json

# What an earlier build left in build/lib would go into the wheel.
dist: $(RUNS)
	@rm -rf build/lib
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf .venv .venv-* build dist *.egg-info _trial_temp*
	rm -rf .hypothesis .mypy_cache .ruff_cache twisted/plugins/dropin.cache
	find docs tests tunnelkit twisted -name __pycache__ -prune -exec rm -rf {} +

$(RUNS): setup.cfg pyproject.toml
	@python=$$(.ci/findpython "$(PYTHON)") && \
	echo "Making $(VENV) with $$python and installing tunnelkit there: a minute or so." && \
	"$$python" -m venv --clear $(VENV) && \
	$(PIP) install --editable . && \
	echo "$(CURDIR)" > $@

$(TESTS): $(RUNS)
	@echo "Installing what lint, types, tests and docs need: a minute or so."
	@$(PIP) install --editable ".[test,docs]"
	@touch $@
