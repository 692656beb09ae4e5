# Mayfly, for people. `make help` lists the targets.
.DEFAULT_GOAL := build
JOBS ?= $(shell nproc)
PRESET ?= release

.PHONY: help setup setup-tests build run quickstart test lint format bench bench-peers profile bench-events bench-access bench-gateway conformance fuzz clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## Install what the build needs (Debian packages, a Python environment in .venv)
	@scripts/setup build

setup-tests: ## Install what the tests need, too
	@scripts/setup tests

build: setup ## Build build/mayfly (PRESET=release|debug|asan|tsan)
	@scripts/build $(PRESET)

run: build ## Build and start the server
	build/mayfly serve

quickstart: build ## From a fresh machine to three running functions
	@scripts/quickstart

test: ## Install, build and run every test
	@scripts/test

lint: setup ## clang-format, clang-tidy and the house rules
	@scripts/lint

format: ## Format the sources in place
	@clang-format-19 -i $$(git ls-files '*.cpp' '*.h')

bench: build setup-tests ## Measure cold and warm invokes beside the machine's floor
	@.venv/bin/python bench/bench.py

bench-peers: build setup-tests ## Measure other servers and platforms under the same load
	@cd bench/peers && npm install --no-audit --no-fund --no-package-lock --silent
	@python3 -m venv build/peers && build/peers/bin/pip install -q -r bench/peers/requirements.txt
	@PATH=$(CURDIR)/build/peers/bin:$$PATH .venv/bin/python bench/peers/peers.py

profile: build setup-tests ## Show where the time of a warm invoke goes
	@.venv/bin/python bench/profile.py

bench-events: build setup-tests ## Measure queues, rules, schedules and what fires, beside their floors
	@scripts/build release mayfly_queue_bench mayfly_pattern_bench sqs_load
	@.venv/bin/python bench/bench_events.py
	@.venv/bin/python bench/sqs.py
	@.venv/bin/python bench/events.py latency
	@.venv/bin/python bench/events.py schedules
	@build/release/src/pattern/mayfly_pattern_bench

bench-gateway: build setup-tests ## Measure a route to a function beside the direct invocation, and nginx
	@.venv/bin/python bench/bench_gateway.py

bench-access: build setup-tests ## Measure signature check, policy decision and route matching as they grow
	@scripts/build release mayfly_access_bench
	@.venv/bin/python bench/access.py

fuzz: setup ## Fuzz every parser for ten minutes each (SECONDS=n for another time)
	@scripts/fuzz $(or $(SECONDS),600)

conformance: build setup-tests ## Replay recorded AWS calls and print a table per service
	@.venv/bin/python tests/conformance/run.py

clean: ## Remove everything built
	rm -rf build
