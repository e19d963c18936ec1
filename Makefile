# Each target does all the set-up that it needs, from a fresh clone, and can be repeated.
#
#   make demo    one command from a base model to report.html
#   make test    the tests that take a few minutes
#   make test-all  these and those that train and kill whole processes
#   make test-gpu  what only a GPU can show; PYTHON names an interpreter whose torch has CUDA
#   make test-plugins  each package of plugins/ with its dependencies from the package index; PLUGINS names some
#   make lint    ruff, mypy and import-linter
#   make docs    the documentation as a site, in site/index.html
#   make reference  writes what the documentation takes from the code
#   make release  what a release is made of, in dist/; uploads nothing
#   make container  the image lrmctl:cpu; VARIANT=cuda, BASE, LRMCTL and BUILDER change it
#   make setup   the environment alone, in .venv, with the versions of constraints.txt
#   make constraints  writes constraints.txt from the versions in .venv
#   make clean   removes what these made; runs/ stays

VENV ?= .venv
STAMP := $(VENV)/.lrmctl-setup
JOBS ?= 2
# one thread for each process: the tiny model gains nothing from more, and two of them run side by side
# and the hundreds of processes that the tests start find lrmctl compiled
ENV := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE=

# the set-up has no CUDA, so these tests often run in an environment of the machine's own
PYTHON ?= $(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,python3)

.PHONY: release container help setup constraints demo test test-all test-gpu test-plugins lint docs reference clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt lrmctl/scaffold/cpu-overrides.txt tools/setup.sh
	@VENV="$(VENV)" bash tools/setup.sh

constraints:
	@VENV="$(VENV)" bash tools/freeze.sh

demo: $(STAMP)
	@echo "demo: training, evaluating and comparing on CPU; about ten minutes on two cores"
	@$(VENV)/bin/lrmctl demo $(DEMO)

test: $(STAMP)
	@echo "test: pytest with $(JOBS) processes"
	@$(ENV) $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not gpu and not e2e" $(TESTS)

test-all: $(STAMP)
	@echo "test-all: pytest with $(JOBS) processes"
	@$(ENV) $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

# no set-up and no fixtures of the other tests: torch, transformers, pytest and what lrmctl imports are enough
test-gpu:
	@echo "test-gpu: pytest with $(PYTHON); up to ten minutes on one GPU"
	@PYTHONPATH="$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH}" TOKENIZERS_PARALLELISM=false $(PYTHON) -m pytest -m gpu --confcutdir=tests/gpu $(or $(TESTS),tests/gpu)

test-plugins: $(STAMP)
	@$(ENV) VENV="$(VENV)" bash tools/test_plugins.sh $(PLUGINS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

docs: $(STAMP)
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict
	@echo "docs: open site/index.html"

reference: $(STAMP)
	@$(VENV)/bin/python tools/write_reference.py

release: $(STAMP)
	@VENV="$(VENV)" bash tools/release.sh

# no set-up: a machine that builds images needs none of it
container:
	@VENV="$(VENV)" bash tools/container/build.sh

clean:
	rm -rf $(VENV) .plugins build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
