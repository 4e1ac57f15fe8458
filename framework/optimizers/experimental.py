"""`tf.keras.optimizers.experimental`: the optimizers by their earlier place."""

from shardtape.optimizers.adadelta import Adadelta
from shardtape.optimizers.adafactor import Adafactor
from shardtape.optimizers.adagrad import Adagrad
from shardtape.optimizers.adam import Adam
from shardtape.optimizers.adamax import Adamax
from shardtape.optimizers.adamw import AdamW
from shardtape.optimizers.ftrl import Ftrl
from shardtape.optimizers.nadam import Nadam
from shardtape.optimizers.optimizer import Optimizer
from shardtape.optimizers.rmsprop import RMSprop
from shardtape.optimizers.sgd import SGD

__all__ = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Nadam", "Optimizer",
    "RMSprop", "SGD",
]  # fmt: skip
