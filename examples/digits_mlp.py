"""Handwritten digits with a multilayer perceptron: 1,437 images to learn from, 360 to test.

Runs by itself (`python examples/digits_mlp.py`) and under the command, which may change every
option: `shardtape train examples/digits_mlp.py --mode sync --ps 4`.
"""

import shardtape as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

images, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    (images / 16).astype("float32"),
    labels.astype("int32"),
    test_size=0.2,
    stratify=labels,
    random_state=42,
)


def model():
    """Runs once in each worker; the Variables of the layers live on the parameter servers."""
    x = tf.placeholder(tf.float32, (None, 64), name="x")
    y = tf.placeholder(tf.int32, (None,), name="y")
    hidden = tf.keras.layers.Dense(256, activation="relu")(x)
    logits = tf.keras.layers.Dense(10)(hidden)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    correct = tf.equal(tf.argmax(logits, 1, tf.int32), y)
    return tf.Step(loss, metrics={"accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))})


if __name__ == "__main__":
    result = tf.Trainer(
        model,
        train={"x": train_x, "y": train_y},
        test={"x": test_x, "y": test_y},
        # a rate that halves every 500 updates: asynchronous steps end without wobbling
        optimizer=tf.keras.optimizers.Adam(
            tf.keras.optimizers.schedules.ExponentialDecay(2e-3, 500, 0.5)
        ),
        batch_size=32,
        epochs=40,
        ps=2,
        workers=2,
        mode="async",
        seed=1,
        logdir="runs/digits_mlp",
        checkpoint_dir="checkpoints/digits_mlp",
    ).fit()
    print(f"test accuracy {result.metrics['accuracy']:.4f}, checkpoint {result.checkpoint}")
