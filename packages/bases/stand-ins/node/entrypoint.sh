#!/bin/sh
# Like upstream's: passes options, and words that are not commands, to node.
set -eu
case "${1:-}" in
  -*) set -- node "$@" ;;
  *) command -v -- "${1:-node}" >/dev/null || set -- node "$@" ;;
esac
exec "$@"
