"""The placeholder-style feed of a worker: arrays by name, checked before the step runs."""

from __future__ import annotations

from shardtape.graph.placeholders import PlaceholderSpec, check_feed, check_value

__all__ = ["PlaceholderSpec", "check_feed", "check_value"]
