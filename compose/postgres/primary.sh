#!/bin/sh
# The primary: made anew with each start, seeded before anybody can reach it.
set -eu
data=/data/postgres
initdb --no-sync --auth=trust --username=lab --no-locale --encoding=UTF8 -D $data >/dev/null
# The network of the lab alone reaches it.
printf 'host all all all trust\nhost replication all all trust\n' >>$data/pg_hba.conf
set -- -F -k /tmp -c full_page_writes=off -c wal_level=replica -c max_wal_senders=8
pg_ctl -D $data -w -s -o "$* -h ''" start
psql -h /tmp -U lab -d postgres -q -v ON_ERROR_STOP=1 -f /schema.sql
pg_ctl -D $data -w -s stop
exec postgres -D $data "$@" -h '*'
