# make demo, make test, make lint: each sets up what it needs in this checkout first.
# Variables: PORT, RPC_PORT, FRESH (demo); MINUTES, SEED (soak); JOBS (tests at once), ARGS (passed on to pytest);
# PYTHON (3.11 or newer), VENV.
# All paths are relative: make cannot handle the spaces that the path of a checkout may contain.

PORT ?= 5000
RPC_PORT ?= 8545
FRESH ?=
PYTHON ?=
VENV ?= .venv
ARGS ?=
NAME ?=
MINUTES ?= 10
JOBS ?= 2
SEED ?=
export QUICK ONLY RIPPLE_CSV PEER_PYTHON
# The demo starts several processes and the tests hundreds, of which each would compile the program anew.
unexport PYTHONDONTWRITEBYTECODE

BIN = $(VENV)/bin
INSTALL = PYTHON='$(PYTHON)' sh scripts/install '$(VENV)'

.PHONY: help demo test soak lint bench audit pins clean

help:
	@echo 'make demo    a chain with people on it, a database and a relay: http://localhost:$(PORT)/api/v1'
	@echo '             PORT=6000 and RPC_PORT=9545 move its ports, FRESH=1 begins anew, Ctrl-C ends it'
	@echo 'make test    all tests, those of two files at a time; JOBS=1, ARGS="-k village" hands options to pytest'
	@echo 'make soak MINUTES=n SEED=s  the simulation that tries to break the index, for longer'
	@echo 'make lint    style, types, direction of imports'
	@echo 'make bench NAME=paths  measures path search beside others; QUICK=1 ends within a minute'
	@echo 'make bench NAME=index  measures the index beside the predecessor; QUICK=1 ends within a minute'
	@echo 'make bench NAME=server  measures the server beside the predecessor; ONLY=long loads it for an hour'
	@echo 'make bench NAME=streams  measures live notifications to 10,000 subscribers; QUICK=1 to 1,000'
	@echo 'make audit   looks the pinned dependencies up in the advisories of known vulnerabilities'
	@echo 'make pins    takes the newest versions of them into config/requirements.txt'
	@echo 'make clean   removes what these commands made, the demo included'
	@echo
	@echo 'PYTHON=python3.13 chooses the Python (3.11 or newer), VENV=.venv-3.13 where its environment lies.'

demo:
	@$(INSTALL) devnet
	@exec '$(BIN)/python' -m relay.cli demo --port '$(PORT)' --rpc-port '$(RPC_PORT)' $(if $(filter-out 0 no false,$(FRESH)),--fresh)

test:
	@$(INSTALL) test
	@exec '$(BIN)/python' -m pytest -n '$(JOBS)' --dist loadfile $(ARGS)

soak:
	@$(INSTALL) test
	@exec '$(BIN)/python' -m tests.simulation --minutes '$(MINUTES)' $(if $(SEED),--seed '$(SEED)')

lint:
	@$(INSTALL) lint
	@echo 'Checking style, types and imports'
	@'$(BIN)/python' -m ruff check .
	@'$(BIN)/python' -m ruff format --check .
	@'$(BIN)/python' -m mypy
	@'$(BIN)/lint-imports'

bench:
	@[ -n '$(NAME)' ] || { echo 'Which benchmark? make bench NAME=paths'; exit 2; }
	@$(INSTALL) bench
	@exec '$(BIN)/python' -m benchmarks.run '$(NAME)'

audit:
	@$(INSTALL) audit
	@'$(BIN)/python' scripts/audit.py config/requirements.txt

pins:
	@$(INSTALL) audit
	@'$(BIN)/uv' pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
		--no-emit-find-links --upgrade --extra picture --extra firebase --extra sentry --extra otel --custom-compile-command 'make pins' \
		setup.py -o config/requirements.txt

clean:
	[ ! -e '$(VENV)/pyvenv.cfg' ] || rm -rf '$(VENV)'
	rm -f graph/_kernel*.so
	rm -rf .demo .cache build dist trustlines_credit_relay.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find graph relay tests -name __pycache__ -type d -prune -exec rm -rf {} +
