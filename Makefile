# Two commands do everything: `make demo` and `make test`. `make desktop` shows the window, `make console` the pages. Each does its own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# Whole files to a worker, in the order of tests/conftest.py. What a test starts shall not compile our modules each time.
# One worker more than cores: some tests wait for a server or a window while others could run.
WORKERS := $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo desktop console test compiled-tests suite slow check-all bench lint clean

demo: $(VENV)/.demo-ready
	$(BIN)/workstation demo -o demo-output

# A state folder of its own: the sample patient is nobody's to find among real ones.
desktop: $(VENV)/.desktop-ready
	@WORKSTATION_PASSWORD=radiology $(BIN)/workstation --root demo-desktop people add DR1 \
		--name 'Sample^Radiologist' --role physician >/dev/null
	@echo "Sign in as DR1 with the password: radiology"
	$(BIN)/workstation --root demo-desktop desktop --demo sample_data/ct_head

# The pages for browsers, over the case of the demo that waits for a word. On this machine alone.
console: $(VENV)/.console-ready
	@test -d demo-output/utility_missing/workstation || $(BIN)/workstation demo -o demo-output >/dev/null
	@for who in 'jd Sample^Coder coder' 'DR1 Sample^Radiologist physician' 'co Sample^Compliance compliance' \
		'ad Sample^Administrator administrator'; do set -- $$who; WORKSTATION_PASSWORD=radiology $(BIN)/workstation \
		--root demo-output/utility_missing/workstation people add $$1 --name "$$2" --role $$3 >/dev/null; done
	@echo "Sign in as jd (coder), DR1 (physician), co (compliance) or ad (administrator) with the password: radiology"
	$(BIN)/workstation --root demo-output/utility_missing/workstation web

# Side by side: the types are checked by one process for a minute, while another compiles the tests once for all workers.
# What is wrong with a test is said by the suite.
test: $(VENV)/.test-ready
	$(MAKE) -j2 lint compiled-tests
	$(MAKE) suite

compiled-tests: $(VENV)/.test-ready
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -qq >/dev/null || true

suite: $(VENV)/.test-ready
	$(PYTEST) -m "not slow and not campaign"

# What takes long each: days at the desktop and the console, mutations, validators on more series. CI runs it as well.
slow: $(VENV)/.test-ready
	$(PYTEST) -m slow

# Everything: campaigns of many minutes too, every example of a property, and every change of a mutation test.
check-all: $(VENV)/.test-ready lint
	WORKSTATION_TEST_THOROUGH=1 $(PYTEST)

bench: $(VENV)/.test-ready
	$(BIN)/python -m tests.benchmarks.bench_render sample_data/ct_head
	$(BIN)/python -m tests.benchmarks.bench_charge
	$(BIN)/python -m tests.benchmarks.bench_open sample_data/ct_head
	$(BIN)/python -m tests.benchmarks.bench_case sample_data/ct_head
	$(BIN)/python -m tests.benchmarks.bench_node
	$(BIN)/python -m tests.benchmarks.bench_send
	$(BIN)/python -m tests.benchmarks.bench_scale
	$(BIN)/python -m tests.benchmarks.bench_queue
	$(BIN)/python -m tests.benchmarks.bench_web

lint: $(VENV)/.test-ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/bin/python:
	.ci/system-packages demo
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name it with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ready: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	@echo "Installing the workstation into $(VENV) …"
	$(PIP) install -c .ci/constraints.txt -e .
	$(BIN)/workstation warm
	touch $@

$(VENV)/.desktop-ready: $(VENV)/.demo-ready
	.ci/system-packages desktop
	@echo "Installing what the desktop needs …"
	$(PIP) install -c .ci/constraints.txt -e '.[desktop]'
	touch $@

$(VENV)/.console-ready: $(VENV)/.demo-ready
	@echo "Installing what the console needs …"
	$(PIP) install -c .ci/constraints.txt -e '.[console]'
	touch $@

$(VENV)/.test-ready: $(VENV)/.demo-ready
	.ci/system-packages test
	@echo "Installing what the tests need …"
	$(PIP) install -c .ci/constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) demo-output demo-desktop build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
