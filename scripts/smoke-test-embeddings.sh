#!/usr/bin/env bash
# Runs the probes of the embedding service in the running stack; `cargo xtask smoke-test` runs those of all services.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo xtask smoke-test embedding "$@"
