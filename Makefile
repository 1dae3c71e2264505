# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build check test quick demo docs install-plugin deb mutants fresh soak bench clean

help: ## what can be made here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

build: ## TypeScript, addons and the charon plugin (installs what is missing first)
	@scripts/setup demo

demo: ## the main job on real strongSwan, proved from outside the agents; writes out/demo.json
	@scripts/setup demo
	@scripts/demo

test: ## everything: checkers, unit, contract, simulation, fuzz, interoperation (root)
	@scripts/setup test
	@scripts/test

quick: ## before a commit: checkers and the tests that need no root
	@scripts/test quick

check: ## types, format, lint, unused code; and that each of these checkers can fail
	@scripts/check

docs: ## what is made from the schema of the configuration: tables, examples, JSON Schema
	@npm run -s docs

install-plugin: ## build the charon plugin and install it on this host (critical by default)
	@scripts/build-plugin --install

deb: ## the Debian packages, in out/deb: agents with their own Node.js, and the charon plugin
	@scripts/setup deb
	@scripts/build-deb

mutants: ## break one rule at a time; each break must turn the tests red
	@scripts/setup test
	@scripts/mutants

fresh: ## make demo and make test inside a clean Debian root, to prove that no step is missing
	@scripts/fresh

soak: ## gigabytes with checked hashes, the demo again and again, the whole matrix, simulations: make soak GB=10 ROUNDS=3 SEEDS=100000
	@scripts/setup demo
	@[ "$${GB:-10}" = 0 ] || node --import tsx test/soak/traffic.ts
	@for round in $$(seq $${ROUNDS:-3}); do echo "round $$round"; scripts/demo; done
	@[ "$${ROUNDS:-3}" = 0 ] || DVIPA_MATRIX_CELLS=. node_modules/.bin/mocha --reporter spec test/interop/matrix.test.ts
	@for sim in test/sim/*.test.ts; do echo "$$sim"; \
	  env $${SEEDS:+SIM_SEEDS=$$SEEDS} node_modules/.bin/mocha --reporter spec "$$sim"; done

bench: ## measures; writes out/bench.json (docs/benchmarks.md)
	@scripts/setup test
	@scripts/bench

clean: ## remove what was built and written (the lab is taken down first)
	@if [ -f dist/cli/main.js ] && [ "$$(id -u)" = 0 ]; then node dist/cli/main.js lab down || true; fi
	rm -rf dist build out coverage .cache
