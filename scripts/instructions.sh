#!/usr/bin/env bash
# Counts the instructions of the pure core with valgrind, against benches/limits.json.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet -p sabot-benches --bin instructions
exec target/release/instructions "$@"
