# Two commands do all the set-up: `make study` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
STUDY ?= studies/rehearsal.toml

.PHONY: study test check format bench clean

study: $(VENV)/.installed-study
	$(BIN)/clearwinner rehearse $(STUDY)

test: $(VENV)/.installed-dev $(VENV)/peers browser-parts
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint templates --check --lint --quiet

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint templates --reformat --quiet

bench: $(VENV)/.installed-dev
	@for file in benchmarks/bench_*.py; do echo "== $$file"; PYTHONPATH=. $(BIN)/python $$file || exit 1; done

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The CPU build of torch is taken where pip finds one; a plain install brings CUDA's gigabytes.
$(VENV)/.installed-study: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[generation]"
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[generation,dev]"
	touch $@ $(VENV)/.installed-study

# A published program that tests run against the marketplace: its own requirements are not needed.
$(VENV)/peers: | $(VENV)/bin/python
	$(PIP) --no-deps --target $@ dallinger==12.4.0

# Debian's Chromium and PostgreSQL, where this user may install them; else the tests that need
# them are skipped and say why.
.PHONY: browser-parts
browser-parts:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  missing=""; \
	  command -v chromium >/dev/null || missing="$$missing chromium"; \
	  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	  [ -z "$$missing" ] || { apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } \
	    || echo "could not install:$$missing; the tests that need them will be skipped"; \
	fi

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
