#!/usr/bin/env bash
# Prepares a GitHub runner: frees disk space and installs a recent Rust.
#
# GitHub guarantees 14 GB of disk. `cargo xtask ci` needs about 12 GB, `ci --full` about 30 GB for the originals with PyTorch
# (docs/ci.md). Toolchains of other languages are removed here. If that is not enough, set the repository variable SUTRA_RUNNER to a
# larger runner.
set -euo pipefail

# shellcheck disable=SC2153 # set by GitHub
if [ "${RUNNER_ENVIRONMENT:-}" = github-hosted ]; then
    sudo rm -rf /usr/share/dotnet /usr/local/lib/android /opt/ghc /usr/local/.ghcup /usr/share/swift "${AGENT_TOOLSDIRECTORY:?}"
fi
df -h / /var/lib/docker || true

rustup toolchain install stable --profile minimal --component clippy --component rustfmt --no-self-update
rustup default stable
