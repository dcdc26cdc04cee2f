#!/usr/bin/env bash
# Runs each fuzz target: under libFuzzer where nightly Rust and cargo-fuzz are, with plain random
# bytes otherwise. Findings stay in fuzz/artifacts.
# Unless FUZZ_SECONDS is given, for 20 s from one seed and nothing but the seeds in the tree: a
# gate fails for what was changed and not by chance. With it, a hunt: that long, from where the
# last hunt ended, with a seed of its own (which libFuzzer prints).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-20}
targets=(pipeline config api matching envoy short_way)

if command -v rustup >/dev/null && rustup toolchain list | grep -q '^nightly' && cargo fuzz --version >/dev/null 2>&1; then
  export CARGO_TARGET_DIR=$PWD/target/fuzz
  cargo +nightly fuzz build --dev --sanitizer none
  for target in "${targets[@]}"; do
    corpus=$CARGO_TARGET_DIR/corpus/$target chance=()
    if [[ -z ${FUZZ_SECONDS:-} ]]; then
      corpus=$CARGO_TARGET_DIR/gate/$target chance=(-seed=1)
      rm -rf "$corpus"
    fi
    mkdir -p "$corpus"
    cargo +nightly fuzz run --dev --sanitizer none "$target" "$corpus" "fuzz/seeds/$target" -- \
      -max_total_time="$seconds" -max_len=4096 -timeout=10 -verbosity=0 -print_final_stats=1 "${chance[@]}"
    echo "fuzz: $target ran for $seconds s, no defect"
  done
else
  echo "fuzz: no nightly Rust here, so the targets get random bytes instead of libFuzzer's" >&2
  export CARGO_TARGET_DIR=$PWD/target
  for target in "${targets[@]}"; do
    cargo run --quiet --manifest-path fuzz/Cargo.toml --example plain -- "$target" "$seconds"
  done
fi
