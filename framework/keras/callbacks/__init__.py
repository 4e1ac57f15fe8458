"""`tf.keras.callbacks`: what `fit`, `evaluate` and `predict` call at certain moments."""

from shardtape.keras.callbacks import experimental
from shardtape.keras.callbacks.base import (
    Callback,
    CallbackList,
    History,
    LambdaCallback,
    TerminateOnNaN,
)
from shardtape.keras.callbacks.checkpoints import BackupAndRestore, ModelCheckpoint
from shardtape.keras.callbacks.csv_logger import CSVLogger
from shardtape.keras.callbacks.loggers import BaseLogger, RemoteMonitor
from shardtape.keras.callbacks.monitoring import (
    EarlyStopping,
    LearningRateScheduler,
    ReduceLROnPlateau,
)
from shardtape.keras.callbacks.progress import ProgbarLogger
from shardtape.keras.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "BaseLogger",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "TensorBoard",
    "TerminateOnNaN",
    "experimental",
]
