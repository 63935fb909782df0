#!/usr/bin/env bash
# Runs the stack: ./sutra-deploy.sh install|update|status|logs|down (see `cargo xtask help deploy`).
set -euo pipefail
cd "$(dirname "$0")"
exec cargo xtask deploy "$@"
