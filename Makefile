# `make check` is the gate, `make test` is what CI runs, `make demo` shows it at work.
# All three install what is missing on a Debian machine with Rust, and say so.

TOOLS := $(CURDIR)/target/tools/bin
export PATH := $(TOOLS):$(PATH)
# One binary for every end-to-end test: the dev profile's, which `check` has built already.
export SABOT := $(CURDIR)/target/debug/sabot

# One thing after another, also under -j: cargo would only wait for itself.
.NOTPARALLEL:

.PHONY: help check test demo docs format setup
.PHONY: lint rust end-to-end churn instructions fuzz compose-test

help:
	@echo 'make check         the gate: format, lints, docs, tests, licences, unused dependencies'
	@echo 'make test          check, and real clients, real servers, churn, instruction counts, fuzz'
	@echo 'make demo          one slow dependency, met by a naive shop and by a protected one'
	@echo 'make compose-test  the lab in containers, by an engine of its own (root; installs docker.io)'
	@echo 'make docs          write the generated pages and the API reference anew'
	@echo 'make format        format everything'

check: setup lint rust

test: setup lint rust end-to-end churn instructions fuzz
	@echo 'make test: everything passed'

setup:
	@scripts/setup.sh test

# Kinds and commands are declared by macros, which hide their files from `cargo fmt`.
FORMATTED := rustfmt --edition 2024 --config-path $(CURDIR)/rustfmt.toml \
	toxics/src/kinds/*.rs cli/src/commands/*.rs cli/src/commands/*/*.rs runner/src/load/kinds/*.rs \
	runner/src/sli/*.rs injections/src/notify/*.rs
format:
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	cargo fmt --manifest-path tests/compat/rust/Cargo.toml
	$(FORMATTED)

# The fuzz targets are a workspace of their own, which nothing else here compiles: 30 s of one core
# when all is new, half a second when nothing is.
FUZZ_CHECK := cargo check --manifest-path fuzz/Cargo.toml --all-targets --quiet \
	--target-dir $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
lint:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo fmt --manifest-path tests/compat/rust/Cargo.toml --check
	$(FORMATTED) --check
	cargo deny --log-level error --workspace check bans licenses sources
	cargo shear
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(FUZZ_CHECK)
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet

rust:
	cargo nextest run --workspace --no-fail-fast
	cargo test --workspace --doc --quiet

end-to-end:
	cargo build --workspace --quiet
	python -m pytest tests

# `rust` has run it for a few seconds already; this is the minute with 10,000 connections.
churn:
	SABOT_CHURN_CONNECTIONS=10000 SABOT_CHURN_SECONDS=60 cargo nextest run -p sabot-proxy --test churn

instructions:
	scripts/instructions.sh

fuzz:
	scripts/fuzz.sh

docs:
	SABOT_BLESS=1 cargo nextest run --workspace -E 'test(/reference|openapi|generated|current/)'

demo:
	@scripts/setup.sh demo
	cargo build --release --bin sabot
	@scripts/demo.py --sabot target/release/sabot

compose-test:
	@scripts/setup.sh compose
	cargo build --bin sabot
	@scripts/compose-test.py --sabot $(SABOT)
