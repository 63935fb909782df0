#!/bin/sh
# Like upstream's: runs the scripts in /docker-entrypoint.d, in order, before nginx.
set -eu
if [ "${1:-}" = nginx ]; then
  for script in /docker-entrypoint.d/*.sh; do
    [ -x "$script" ] && "$script"
  done
fi
exec "$@"
