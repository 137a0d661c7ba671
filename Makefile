# Each target builds what it needs; nothing is expected but Python 3.11 or later and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO ?= demo

.PHONY: help venv demo test lint docs bench wheel sbom clean

help:
	@echo "make demo   run the paper's study on phantoms; the report is $(DEMO)/report.html"
	@echo "make test   run the tests"
	@echo "make lint   ruff and mypy"
	@echo "make docs   build the documentation into docs/_build"
	@echo "make bench  run all benchmarks, and say which failed"
	@echo "make wheel  build the package into dist"
	@echo "make sbom   list everything that is installed with it in dist/sbom.json (CycloneDX)"
	@echo "make clean  remove the environment and everything built"

# The stamp is remade when the dependencies change, so an old environment is never trusted.
$(VENV)/.stamp: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'cervispine needs Python 3.11 or later; make PYTHON=... names another')"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group test --group lint --group docs
	touch $@

venv: $(VENV)/.stamp

# A demo that was interrupted goes on where it stopped.
demo: venv
	$(BIN)/cervispine experiment --preset quick --out $(DEMO) $(if $(wildcard $(DEMO)/manifest.json),--resume)

test: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadscope

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: venv
	$(BIN)/sphinx-build --fail-on-warning --keep-going docs docs/_build/html

bench: venv
	$(BIN)/python -m pip install --quiet --group bench
	failed=; for script in benchmarks/*.py; do \
		echo "== $$script"; $(BIN)/python -P $$script || failed="$$failed $$script"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

wheel: venv
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

sbom: venv
	$(BIN)/python -m pip install --quiet --group release
	mkdir -p dist
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-file dist/sbom.json

clean:
	rm -rf $(VENV) $(DEMO) dist docs/_build docs/generated .mypy_cache .ruff_cache .pytest_cache
