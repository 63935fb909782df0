#!/usr/bin/env bash
# Asks the embedding service of the running stack its probes; `cargo xtask smoke-test` asks all services.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo xtask smoke-test embedding "$@"
