# Everything a target needs is installed into .venv first; nothing outside this folder is changed.
# Works with GNU make 3.81 (macOS) and later, and any POSIX shell.

.DEFAULT_GOAL := help
.PHONY: help install demo test simulate mutants test-cluster test-acl check format docs arq-suite chaos chaos-short chaos-storm soak bench bench-peers clean

BIN := .venv/bin
INSTALLED := .venv/installed
BENCH ?= noop
HOURS ?= 1
PEERS ?=
SCALE ?= full
ROUNDS ?= 3
REFERENCE := runner runner.doors runner.dead_letters runner.inspector runner.queues.door runner.limits runner.schedules.door runner.health runner.events runner.outcome runner.errors runner.logs runner.embed runner.http runner.wire runner.testing jobs.webhook jobs.webhook_health jobs.payment jobs.maintenance

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## install everything into .venv (again only when versions change)
	@echo "installed in .venv"

demo: $(INSTALLED) ## 300 webhooks, 100 payments, a worker killed half-way; nothing lost, nothing twice
	@$(BIN)/runner demo --once

# The suite starts more than a hundred processes of ours: without compiled modules each compiles hundreds of them anew.
test: $(INSTALLED) ## run the whole suite on a real server
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

simulate: $(INSTALLED) ## run simulated seeds on all cores; SEEDS=50000 FROM=0, TRACE=1 shows what happens
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),50000) --first $(or $(FROM),0) $(if $(TRACE),--trace)

check: $(INSTALLED) ## lint, formatting, types, and which module may import which
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "not formatted as ruff does it: make format" >&2; exit 1; }
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## put the code into ruff's form, and fix what ruff can fix
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

docs: $(INSTALLED) ## build the API reference from docstrings, into docs/api
	@$(BIN)/pdoc --docformat google --no-show-source --output-directory docs/api $(REFERENCE)
	@echo "docs/api/index.html"

mutants: $(INSTALLED) ## put known bugs into a copy, one by one: each must be caught; docs/proof/mutants.md
	@$(BIN)/python .ci/mutants.py --report docs/proof/mutants.md

test-cluster: $(INSTALLED) ## run the tests of the scripts on a cluster of three
	@$(BIN)/python .ci/cluster_suite.py

test-acl: $(INSTALLED) ## run the suite as the user of deploy/runner.acl
	@$(BIN)/python .ci/acl_suite.py

arq-suite: $(INSTALLED) ## run arq's own tests against our worker
	@$(BIN)/python .ci/arq_suite.py

chaos: $(INSTALLED) ## break everything under load, 20 minutes; ledgers are compared; report in .runner/chaos.html
	@$(BIN)/python -m tests.chaos

chaos-short: $(INSTALLED) ## the same in 3 minutes
	@$(BIN)/python -m tests.chaos --short

chaos-storm: $(INSTALLED) ## the worst of it in half a minute: all kinds of trouble at once, as .ci/run does
	@$(BIN)/python -m tests.chaos --short --only storm

soak: $(INSTALLED) ## load for HOURS=1 with outages in the middle: what must stay flat? report in .runner/soak.html
	@$(BIN)/python -m tests.chaos.soak --hours $(HOURS)

bench: $(INSTALLED) ## measure; BENCH=noop|latency|sleep|webhooks|payments|enqueue|dashboard
	@$(BIN)/runner bench $(BENCH)

bench-peers: $(INSTALLED) ## measure beside other libraries, 30 minutes; PEERS=celery,rq SCALE=small|full ROUNDS=3
	@$(BIN)/python -m benchmarks --peers "$(PEERS)" --scale $(SCALE) --rounds $(ROUNDS)

clean: ## remove .venv, caches and builds (the data in .runner stays)
	@rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml .ci/constraints.txt
	@.ci/install
	@touch $@
