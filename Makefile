# Two commands matter: `make run` plays a day, `make test` proves it. Both set up by themselves.
SHELL := /bin/bash
PYTHON ?= python3.11
V := .venv/bin

.PHONY: setup setup-dev setup-bench run test check fmt bench bench-backlog bench-files bench-bids sim drills power fuzz line-drill sm2-judge draw-vectors withholding lock clean vendor
.DEFAULT_GOAL := help
help:
	@echo "make run [ONCE=1]  set up and play a day    make test   set up and run every test"
	@echo "make check         lint, types, contracts   make bench  speed against peers    make fmt   format"
	@echo "make bench-backlog [N=n], make bench-files [MB=n]   memory over a long backlog; attachments"
	@echo "make bench-bids [QUICK=1]  seal 100 MB, open 200 bids of 20 MB"
	@echo "make line-drill    a thin, flapping, half-open line for a quarter of an hour"
	@echo "make draw-vectors [N=n]  n draws against a second implementation in another language"
	@echo "make withholding     20,000 draws in which the last party keeps its nonce back"
	@echo "make sim SEEDS=n [FIRST=k] [TRACE=1]         n courses of crashes, cuts and lies, each by its seed"

setup: .venv/.setup-run
setup-dev: .venv/.setup-dev
setup-bench: .venv/.setup-bench

.venv/.setup-run: requirements.lock pyproject.toml scripts/setup.sh scripts/vendor.sh
	@bash scripts/setup.sh run "$(PYTHON)"
	@touch $@

.venv/.setup-dev: .venv/.setup-run requirements-dev.lock
	@bash scripts/setup.sh dev "$(PYTHON)"
	@touch $@

# The peers of `make bench`. One that cannot be had is named there as not measured; it fails nothing here.
.venv/.setup-bench: .venv/.setup-dev requirements-bench.lock bench/peers/pouchdb/package-lock.json
	$(V)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock \
	  || echo "peers from PyPI could not be installed: make bench names what it does not measure"
	cd bench/peers/pouchdb && npm ci --ignore-scripts --no-audit --no-fund --silent \
	  || echo "peers from npm could not be installed: make bench names what it does not measure"
	@touch $@

run: setup
	$(V)/erhai demo $(if $(ONCE),--once)

test: setup-dev check
	$(V)/python -m pytest tests --numprocesses 2 --dist loadfile

check: setup-dev
	$(V)/ruff format --check .
	$(V)/ruff check .
	$(V)/mypy
	$(V)/lint-imports

fmt: setup-dev
	$(V)/ruff format .
	$(V)/ruff check --fix .

bench: setup-bench
	$(V)/python -m bench $(if $(QUICK),--quick) $(if $(JSON),--json)

# Memory of both sides while a neighbour that was away catches up; ten million entries need 12 GB of disk and a quarter of an hour.
bench-backlog: setup-dev
	$(V)/python -m bench.backlog $(or $(N),10000000)

# Seal 100 MB and open 200 bids of 20 MB, in both profiles, with peak memory.
bench-bids: setup-dev
	$(V)/python -m bench.bids $(if $(QUICK),--quick)

# 2 GB of attachments over loopback, and over 50 Mbit/s (six minutes each way of sending).
bench-files: setup-dev
	$(V)/python -m bench.files $(or $(MB),2048)

SEEDS ?= 500
FIRST ?= 0
sim: setup-dev
	$(V)/python -m tests.sim.long_run --seeds $(SEEDS) --first $(FIRST) $(if $(TRACE),--trace)

# Randomised restore drills; a seed that fails is played again with FIRST=<seed> N=1.
drills: setup-dev
	$(V)/python -m tests.faults.restore_drill $(or $(N),1000) $(or $(FIRST),0)

# Simulated power failures under SQLite and the fence; a seed that fails is played again with FIRST=<seed> N=25.
power: setup-dev
	$(V)/python -m tests.faults.power_drill $(or $(N),10000) $(or $(FIRST),0)

# Damaged bytes into every decoder; a find is printed with its seed and bytes.
fuzz: setup-dev
	$(V)/python -m tests.fuzz.long_run $(or $(MINUTES),10) $(SEED)

# Whether silence gains anything, over 20,000 whole draws.
withholding: setup-dev
	ERHAI_DRAWS=20000 $(V)/python -m pytest -q tests/domain/test_withholding.py

# The draw's second implementation (Node.js) over N whole draws and N coefficients.
draw-vectors: setup-dev
	$(V)/python -m tests.judges.draw_judge $(or $(N),10000)

# A quarter of an hour: a thin, long, flapping, half-open line, and what it costs.
line-drill: setup-dev
	$(V)/python -m tests.faults.line_drill

# SM2 beside BouncyCastle, both ways, on N fresh keys and messages each.
sm2-judge: setup-dev
	$(V)/python -m tests.judges.sm2_judge $(or $(N),10000)

# Renew the locks; they must name no registry host.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install -q pip-tools
	for f in requirements requirements-dev requirements-bench; do .venv-lock/bin/pip-compile -q --upgrade --generate-hashes --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras -o $$f.lock $$f.in; done
	rm -rf .venv-lock
	! grep -nE '^--|https?://' requirements.lock requirements-dev.lock requirements-bench.lock

clean:
	rm -rf .venv web/static/vendor tests/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data
