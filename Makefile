# make demo: see it work.  make test: the fast tests.  make check: all that CI checks.  make bench: the figures of docs/performance.md.
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest -q
unexport PYTHONDONTWRITEBYTECODE  # or each of the many processes of the tests would compile the sources anew

.DEFAULT_GOAL := help
.PHONY: help setup tools demo test fault check format lint types imports audit bench lock docs site wheel sbom clean

help:  ## Show this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup:
	@scripts/setup.sh venv $(VENV) requirements/dev.txt

tools: setup
	@scripts/setup.sh tools mosquitto mosquitto_pub tshark openssl zsh fish systemd-analyze strace
	@scripts/setup.sh promtool $(BIN)

demo: setup  ## A broker, a provider and a gateway on loopback: every outcome, live
	@$(BIN)/mensageiro demo $(DEMO)

test: tools  ## The fast tests, under three minutes
	$(PYTEST) -n 3 -m "not fault and not bench" $(TESTS)  # three, since much of it waits for processes

fault: tools  ## The long tests that kill, cut off and restart real processes
	$(PYTEST) -n 2 -m fault $(TESTS)

check: format lint types imports audit site test fault  ## All that CI checks

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

audit: setup  ## Look for known vulnerabilities in what is shipped, where the network allows
	$(BIN)/python scripts/audit.py

bench: tools  ## Measure: codec, texts, journal, whole lives, call-backs
	@scripts/setup.sh tools wrk
	$(BIN)/python benchmarks/codec.py
	$(BIN)/python benchmarks/text.py
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/scrape.py
	$(BIN)/python benchmarks/lives.py $(BENCH)
	$(BIN)/python benchmarks/callbacks.py

lock: setup  ## Write requirements/*.txt anew
	$(BIN)/pip -q install uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra demo --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group build -c requirements/dev.txt -o requirements/build.txt

docs: setup  ## Write the generated documents and the example configuration anew
	$(BIN)/python -m gateway.schema
	$(BIN)/python scripts/dashboard.py

site: setup  ## Build the documentation into build/site, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: setup  ## Build the wheel
	$(BIN)/hatchling build -t wheel

sbom: setup  ## Write the bill of materials of what is shipped (CycloneDX)
	@scripts/sbom.sh $(VENV)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage*
