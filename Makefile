# Everything that one does with this project.  The environment makes itself: it needs a Python >= 3.10, nothing else.

PYTHON ?= python3
CONFIG ?= conf/cluster.ini
JOBS ?= 2
TARGETS ?=
PROTOS := $(wildcard epaxos/*/*.proto)

APIDOCS := build/docs/api/index.html

# Another PYTHON gets an environment of its own, so that several can be tried side by side.
ifeq ($(PYTHON),python3)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BIN := $(VENV)/bin

# What `make quick` and, on each Python, `make pythons` run.
QUICK := $(addprefix tests/,config ctl execution generated/test_generated.py net node protocol resp \
  service/test_exit_status.py service/test_tap.py service/test_timeouts.py statemachines test_architecture.py \
  test_docs.py test_limits.py wire)
PART := tests/storage $(QUICK) tests/cluster/test_local_cluster.py

.PHONY: help run demo quick test test-real applications lint trial pytest real pythons part soak digests models bench proto clean \
  longrun fuzz differential mutants compiled generated style docs news coverage audit

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "PYTHON=python3.12 chooses another Python; CONFIG=FILE another cluster for 'make run'."

run: $(VENV)/.installed  ## three replicas in the foreground, on the ports of conf/cluster.ini; Ctrl-C stops them
	@$(BIN)/python -m epaxos.tools.local_cluster --config $(CONFIG)

demo: $(VENV)/.installed  ## three printers that execute concurrent proposals, and a check that they agree
	@$(BIN)/python -m epaxos.tools.demo

quick: style  ## for the inner loop, under a minute: ruff, mypy, the core and what else is fast, by pytest
	$(BIN)/pytest -q -x -n $(JOBS) $(QUICK)

test: lint trial pytest  ## lint, the tests by trial, a few clusters among them, and by pytest those that need none

test-real: pythons real  ## what is long: a part on the oldest and newest Python, and clusters by pytest

lint: style docs  ## ruff and mypy, and the docs without a warning

style: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(APIDOCS)  ## the pages, and the API from the docstrings, in build/docs; a warning is an error
	$(BIN)/sphinx-build -q -W --keep-going -b html -E -d build/doctrees docs build/docs

# It takes half a minute, so only when a docstring may have changed.
$(APIDOCS): docs/apidocs.py $(shell find epaxos -name '*.py' -not -name '*_pb2.py') | $(VENV)/.installed-docs
	@rm -rf $(@D)
	PYTHONPATH=docs $(BIN)/pydoctor -q -W --system-class apidocs.ProjectSystem --docformat restructuredtext \
	  --project-name epaxos --project-base-dir . --privacy 'HIDDEN:**_pb2' --html-output $(@D) epaxos || \
	  { rm -rf $(@D); exit 1; }

news: $(VENV)/.installed-docs  ## what CHANGELOG.md will say of the next release, from newsfragments/
	@$(BIN)/towncrier build --draft --version NEXT

# Real clusters are processes of their own, which are not measured.
coverage: $(VENV)/.installed-test  ## the share of lines and branches that the tests run; build/coverage/html shows them
	$(BIN)/pip install -q --disable-pip-version-check -e '.[coverage]'
	@rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m pytest -q -m 'not real' $(TARGETS)
	@$(BIN)/coverage combine -q && $(BIN)/coverage html -q
	@echo "$$($(BIN)/coverage report --format=total) % of the lines and branches of epaxos are run"

# What cannot be asked (no network, a mirror without PyPI's list) is no failure: one line says that nothing was checked.
audit: $(VENV)/.installed-test  ## known vulnerabilities of the packages in the environment, by pip-audit, where it reaches PyPI
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[audit]' || \
	  { echo "audit: nothing was checked, because pip-audit cannot be installed"; exit 0; }; \
	  $(BIN)/python -m tests.audit

trial: $(VENV)/.installed-test  ## the tests by trial; of those that need a cluster a few (which: tests/real.py)
	@modules=$(if $(TARGETS),"$(TARGETS)",$$($(BIN)/python -m tests.real)) && \
	  SIMULATION_SECONDS=$${SIMULATION_SECONDS:-15} \
	  $(BIN)/trial -j$(JOBS) --reporter=$(if $(CI),text,verbose) $$modules

pytest: $(VENV)/.installed-test  ## the tests by pytest that need no cluster
	$(BIN)/pytest -q -n $(JOBS) -m 'not real'

real: $(VENV)/.installed-test  ## the tests by pytest that need one (which are they: tests/real.py)
	$(BIN)/pytest -q -n $(JOBS) -m real

applications: $(VENV)/.installed-test  ## install the packages of others that tests/applications runs, for Python and Node
	$(BIN)/pip install -q --disable-pip-version-check -e '.[applications]'
	@! command -v npm >/dev/null || npm install --prefix tests/applications/node --no-audit --no-fund --loglevel=error

# Wheels alone: who has no compiler has to get along, too.
pythons: $(VENV)/.installed-test  ## a part of the tests on the oldest and the newest Python here, or on PYTHONS=
	@for python in $(or $(PYTHONS),$$($(BIN)/python -m tests.pythons)); do \
	  echo "== $$python"; PIP_ONLY_BINARY=:all: $(MAKE) --no-print-directory part PYTHON=$$python || exit 1; done

part: $(VENV)/.installed-test
	$(BIN)/pytest -q -n $(JOBS) $(PART)

soak: $(VENV)/.installed  ## the simulator on fresh seeds, on all cores, until Ctrl-C or SECONDS=; failures go to soak/
	@$(BIN)/python -m epaxos.verify.simulation --soak --save soak $(if $(SECONDS),--seconds $(SECONDS))

digests: $(VENV)/.installed  ## the digests of known simulated runs anew, after a change that was meant
	@$(BIN)/python -m epaxos.verify.simulation --digests tests/verify/simulation/digests.txt

longrun: $(VENV)/.installed-test  ## HOURS (0.5) of random faults on N (3) real replicas, judged; SEED, TRANSPORT, OUT
	$(BIN)/python -m tests.cluster.longrun --hours $(or $(HOURS),0.5) --n $(or $(N),3) \
	  $(if $(SEED),--seed $(SEED)) $(if $(TRANSPORT),--transport $(TRANSPORT)) $(if $(OUT),--out $(OUT))

differential: $(VENV)/.installed-test  ## random commands to us and to AGAINST=redis or valkey, for SECONDS=60 from SEED= on
	$(BIN)/python -m tests.differential --seconds $(or $(SECONDS),60) --against $(or $(AGAINST),redis) \
	  $(if $(SEED),--seed $(SEED)) $(if $(FAMILIES),--families $(FAMILIES))

fuzz: $(VENV)/.installed-test  ## hunt with a coverage-guided fuzzer, SECONDS=60 for each of TARGETS= (all)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.hunt $(or $(SECONDS),60) $(TARGETS)

bench: $(VENV)/.installed-bench  ## measure everything (BENCH='--quick', '--only set', '--help'), or this tree against BASE=REVISION
	$(BIN)/python -m tests.bench$(if $(BASE),.revisions $(BASE)) $(BENCH)

models: $(VENV)/.installed  ## small models of the core, exhaustively, MODEL_SECONDS (120) for each at most
	@$(BIN)/python -m epaxos.verify.models --seconds $(or $(MODEL_SECONDS),120)

# A copy of the project, so that nothing compiled ever hides a source that is being worked on.
compiled: $(VENV)/.installed-test  ## the compiled build in build/compiled, and its tests (a C compiler, some minutes)
	rm -rf build/compiled && mkdir -p build/compiled
	git ls-files -z | xargs -0 cp --parents -t build/compiled
	cd build/compiled && EPAXOS_COMPILED=1 $(abspath $(BIN))/python setup.py -q build_ext --inplace >build.log 2>&1 || \
	  { tail -n 20 build.log; exit 1; }
	cd build/compiled && PYTHONPATH=$(abspath build/compiled) $(abspath $(BIN))/python -m pytest -q -n $(JOBS) tests

mutants: $(VENV)/.installed  ## the simulator against the product with one rule broken, for every rule
	@$(BIN)/python -m epaxos.verify.mutants.hunt $(MUTANTS)

generated: $(VENV)/.installed-test  ## what is made from the code: comments of conf/cluster.ini, pages and tables of docs
	$(BIN)/python -m tests.config.test_generated
	$(BIN)/python -m tests.test_architecture
	$(BIN)/python -m tests.generated

proto: $(VENV)/.installed-test  ## the protobuf modules anew, from their .proto files
	$(BIN)/pip install -q -e '.[proto]'
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. $(PROTOS)

clean:  ## remove what these commands made, but not the data of a cluster
	rm -rf .venv .venv-* build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
	find epaxos tests twisted -name __pycache__ -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache

# A Python that is too old, or gone, is said in one line; so is the one package that may have to be compiled.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "epaxos needs Python 3.10 or newer, and '$(PYTHON)' is not: say which, as in 'make PYTHON=python3.12 ...'" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/.python
	@echo "installing what epaxos needs into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e . || { $(HINT); exit 1; }
	@touch $@

$(VENV)/.installed-test: setup.cfg pyproject.toml | $(VENV)/.python
	@echo "installing what epaxos and its tests need into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[test]' || { $(HINT); exit 1; }
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: setup.cfg pyproject.toml | $(VENV)/.installed-test
	@echo "installing what builds the docs into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[docs]' || { $(HINT); exit 1; }
	@touch $@

$(VENV)/.installed-bench: setup.cfg pyproject.toml | $(VENV)/.installed-test
	@echo "installing what the bench compares with into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[test,bench]' || { $(HINT); exit 1; }
	@touch $@

HINT = echo "Where no wheel of LevelDB's binding fits (plyvel: x86_64, up to Python 3.11; plyvel-next: newer ones) \
	it is compiled: that takes a C++ compiler and LevelDB's headers (Debian: apt-get install g++ libleveldb-dev)." >&2
