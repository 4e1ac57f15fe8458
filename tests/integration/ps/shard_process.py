"""Runs a shard's process until standard input ends: prints its address first."""

import sys

from shardtape.ps.actor import ShardActor

if __name__ == "__main__":
    actor = ShardActor(token="secret", job="testjob", port=int(sys.argv[1]) if sys.argv[1:] else 0)
    print(actor.address(), flush=True)
    sys.stdin.read()
