#!/bin/sh
# Runs a program in a network of its own in which no socket is paced, for whoever
# measures over loopback on a system whose default is BBR. Needs root.
#
#     benches/unpaced.sh target/release/compare
set -eu
exec unshare --net sh -c '
    ip link set lo up
    sysctl -qw net.ipv4.tcp_congestion_control=reno
    exec "$@"
' unpaced "$@"
