#!/usr/bin/env bash
# Copies the script to the head of the running cluster and trains there.
set -euo pipefail
cd "$(dirname "$0")"
ray rsync-up ray-cluster.yaml @{script_source} @{script_target}
ray exec ray-cluster.yaml @{command_quoted}
