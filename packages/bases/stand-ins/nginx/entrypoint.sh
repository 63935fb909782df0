#!/bin/sh
# As upstream's: scripts in /docker-entrypoint.d run, in order, before nginx does.
set -eu
if [ "${1:-}" = nginx ]; then
  for script in /docker-entrypoint.d/*.sh; do
    [ -x "$script" ] && "$script"
  done
fi
exec "$@"
