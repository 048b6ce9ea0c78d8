# Two commands work alone on a fresh clone with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for processes, so four workers keep two cores busy; those of a file stay together.
PYTEST := $(BIN)/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder
READY := $(VENV)/.ready
PROTOS := $(wildcard protos/kessai/v1/*.proto)
# Tests start hundreds of processes, each of which would compile the whole house again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: soak demo test test-rest test-all check protos bench crash crash-store clean

demo: $(READY)  ## A phone pays at a register, from the radio to the ledger; ends by itself.
	@$(BIN)/kessai demo

test: $(READY)  ## The tests: one radio a row, few kills.
	@$(PYTEST) -m "not full"

test-rest: $(READY)  ## What make test leaves out: the other radio, the benches, whole towns.
	@$(PYTEST) -m full

test-all: test test-rest  ## Every test that this machine can run.

check: $(READY)  ## Style, types, walls between the rooms, protos and generated code.
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/buf lint protos
	@$(BIN)/python -m tests.generate --check
	@$(BIN)/mypy & types=$$!; rules=0; \
		$(BIN)/python -m pytest -q tests/house || rules=$$?; \
		wait $$types && exit $$rules
	@echo "check: clean"

protos: $(READY)  ## Generate the Python code of the protos again.
	@$(BIN)/python -m tests.generate

bench: $(READY)  ## Run every bench, in some ten minutes, and write docs/benchmarks.md with its plots.
	@$(BIN)/kessai bench page

soak: $(READY)  ## Ten minutes of passengers at a gate; every extreme value, flipped bit and mangled byte there is.
	@$(BIN)/kessai bench gate --minutes 10 --rate 60
	@KESSAI_EXAMPLES=2000 $(PYTEST) --timeout 3600 $(SOAK)

# Tests that try more with KESSAI_EXAMPLES.
SOAK := tests/attack tests/fuzz $(shell grep -lr KESSAI_EXAMPLES tests/unit tests/invariants --include='test_*.py')

# Ten scenes, 30 kills in each. A run is had again with the seed that it showed: KESSAI_SEED=...
CUT := anywhere phones vending gate store_and_forward entrance hub ticket_machine
KESSAI_SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')

crash: $(READY)  ## SIGKILL at 300 random moments of all scenes; one table of what became of them.
	@export KESSAI_KILLS=30 KESSAI_SEED=$(KESSAI_SEED); echo "seed $$KESSAI_SEED"; \
		$(PYTEST) $(CUT:%=tests/invariants/test_kill_%.py)

crash-store: $(READY)  ## SIGKILL at 300 random moments of merges, rebalancing and deposits.
	@export KESSAI_KILLS=300 KESSAI_SEED=$(KESSAI_SEED); echo "seed $$KESSAI_SEED"; \
		$(BIN)/python -m pytest -q tests/invariants/test_kill_while_moving.py

clean:
	@rm -rf $(VENV)

# The environment is made once, and again only when pyproject.toml changes.
$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]' 2>&1 | grep -v '^WARNING: Location' || true
	@$(BIN)/kessai --version >/dev/null
	@touch $(READY)
