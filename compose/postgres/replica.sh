#!/bin/sh
# The streaming replica: copies the primary by the proxy `replication`, and follows it there.
set -eu
data=/data/postgres
tries=0
until pg_basebackup -h sabot -p 15434 -U lab -D $data --write-recovery-conf --wal-method=stream \
    --checkpoint=fast --no-sync --create-slot --slot=replica 2>/tmp/refused; do
    tries=$((tries + 1))
    if [ $tries -ge 120 ]; then
        cat /tmp/refused >&2
        exit 1
    fi
    sleep 1
done
exec postgres -D $data -F -k /tmp -h '*'
