# `make` lists the targets. What they need is installed by them: see README.md.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# A Rust that rustup has just installed is found without a new shell.
export PATH := $(HOME)/.cargo/bin:$(PATH)
export CARGO_TARGET_DIR := $(CURDIR)/target

# release: what is packed and measured. dev: builds faster, `make demo PROFILE=dev`.
PROFILE ?= release
# KEEP=1: the demo leaves its model running for a look around.
KEEP ?=
# What `make test ARGS="--test layers"` hands to cargo test.
ARGS ?=

built = target/$(if $(filter dev,$(1)),debug,$(1))
charms = target/charms$(if $(filter dev,$(1)),,-$(1))
arch := $(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(shell uname -m)))
charm_file := target/postgresql_ubuntu-24.04-$(arch).charm

# What demo, bench and tests look for: the programs, and the charms laid out as Juju unpacks them.
programs = BIN_DIR=$(CURDIR)/$(call built,$(1)) CHARMS_DIR=$(CURDIR)/$(call charms,$(1))

postgresql_files := charm/metadata.yaml actions.yaml config.yaml LICENSE
object_storage_files = $(wildcard tests/charms/object-storage/*.yaml)
certificates_files = $(wildcard tests/charms/certificates/*.yaml)

# $(call lay-out,PROFILE)
define lay-out
tests/package/charm-dir.sh $(call charms,$(1))/postgresql $(call built,$(1))/pg-backup-agent $(postgresql_files)
tests/package/charm-dir.sh $(call charms,$(1))/object-storage $(call built,$(1))/object-storage $(object_storage_files)
tests/package/charm-dir.sh $(call charms,$(1))/certificates $(call built,$(1))/certificates $(certificates_files)
endef

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/' | expand -t 24

.PHONY: demo
demo: deps-build ## the main job: a cluster, a backup and a restore on this machine (KEEP=1, PROFILE=dev)
	@$(MAKE) --no-print-directory build PROFILE=$(PROFILE)
	@$(call programs,$(PROFILE)) KEEP=$(KEEP) PROFILE=$(PROFILE) tests/demo.sh

.PHONY: transcript
transcript: ## run the demo and put what it printed into README.md
	@$(MAKE) --no-print-directory demo PROFILE=$(PROFILE) > target/demo.log 2>&1 || { tail -n 40 target/demo.log; exit 1; }
	@sed -n '/^# A model/,$$p' target/demo.log > target/transcript.log
	@tests/package/transcript.sh target/transcript.log

# One build of everything first: the tests start the programs and host the charms that it makes. `--all-targets` builds with
# the same features as `cargo test` does, so that nothing is compiled twice. The suites wait more than they compute: two at a time.
.PHONY: test
test: deps ## everything: unit tests, walls, surface, scenarios on a real cluster (ARGS=... for one program, by cargo test)
	@cargo build --workspace --all-targets --locked
	@$(call lay-out,dev)
	@$(call programs,dev) $(if $(ARGS),cargo test --workspace --locked --no-fail-fast $(ARGS),tests/package/suites.py) 2>&1 | tee target/test.log

.PHONY: matrix
matrix: deps ## a restore broken in every state by everything (hours; make test has a sample): target/restore-matrix.json
	@cargo build --workspace --all-targets --locked
	@$(call lay-out,dev)
	@$(if $(ARGS),,rm -f target/restore-matrix.json)
	@MATRIX=all $(call programs,dev) cargo test --workspace --locked --test matrix -- $(ARGS)

.PHONY: check
check: ## fmt, clippy with warnings as errors, walls, surface, cargo deny where it can run
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@cargo test --locked --quiet --test layers --test surface
	@tests/package/deny.sh

.PHONY: bench
bench: deps-build ## measure backups and restores
	@$(MAKE) --no-print-directory build PROFILE=release
	@$(call programs,release) tests/bench.sh

.PHONY: build
build: ## the programs and the charms' directories (PROFILE=release or dev)
	@cargo build --locked --profile $(PROFILE) -p pg-backup-agent -p localjuju -p object-storage -p certificates
	@$(call lay-out,$(PROFILE))

.PHONY: charm
charm: deps-build ## the file that `juju deploy` takes: target/postgresql_ubuntu-24.04-ARCH.charm
	@cargo build --locked --release -p pg-backup-agent
	@tests/package/charm-dir.sh target/charm target/release/pg-backup-agent $(postgresql_files)
	@tests/package/pack.py target/charm $(charm_file)

.PHONY: charmcraft-tree
charmcraft-tree: ## the committed tree laid out for `charmcraft pack`: target/charmcraft
	@tests/package/charmcraft-tree.sh target/charmcraft

.PHONY: deps
deps: ## install what is missing: Debian packages (as root), .venv; Rust is only looked for
	@tests/package/deps.sh system rust python

.PHONY: deps-build
deps-build:
	@tests/package/deps.sh system rust

.PHONY: clean
clean: ## remove what was built, and .venv
	rm -rf target .venv
