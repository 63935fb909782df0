#!/bin/sh
# As upstream's: an option, or a word that is no command, is meant for node.
set -eu
case "${1:-}" in
  -*) set -- node "$@" ;;
  *) command -v -- "${1:-node}" >/dev/null || set -- node "$@" ;;
esac
exec "$@"
