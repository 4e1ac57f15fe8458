"""Hyperparameters for TensorBoard's HParams page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shardtape.summary.summaries import write_raw_pb


def hparams(
    hparams: Mapping[Any, Any], trial_id: str | None = None, start_time_secs: float | None = None
) -> bool:
    """Writes the hyperparameters of one trial; its curves are the metrics.

    Args:
      hparams: bool, int, float or str by name (or by `HParam`).
      trial_id: name of the set of values; a hash of them if None.
      start_time_secs: when the trial started, in seconds since 1970; now if None.

    Returns:
      True if it was recorded.
    """
    from tensorboard.plugins.hparams import summary_v2

    message = summary_v2.hparams_pb(dict(hparams), trial_id, start_time_secs)
    return write_raw_pb(message.SerializeToString(), step=0)


def hparams_config(
    hparams: Sequence[Any], metrics: Sequence[Any], time_created_secs: float | None = None
) -> bool:
    """Writes what an experiment varies and measures, in its top folder.

    Args:
      hparams: `HParam` values of `tensorboard.plugins.hparams.summary_v2`; the plugin's module
        `api` itself needs TensorFlow.
      metrics: `Metric` values of the same module.
      time_created_secs: seconds since 1970; now if None.

    Returns:
      True if it was recorded.
    """
    from tensorboard.plugins.hparams import summary_v2

    message = summary_v2.hparams_config_pb(hparams, metrics, time_created_secs)
    return write_raw_pb(message.SerializeToString(), step=0)
