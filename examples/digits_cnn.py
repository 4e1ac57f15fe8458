"""Handwritten digits with a small convolutional network (two convolutions, two poolings)."""

import shardtape as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(
    (digits.images[..., None] / 16).astype("float32"),
    digits.target.astype("int32"),
    test_size=0.2,
    stratify=digits.target,
    random_state=42,
)


def model():
    """8 x 8 images of one channel to ten logits."""
    x = tf.placeholder(tf.float32, (None, 8, 8, 1), name="x")
    y = tf.placeholder(tf.int32, (None,), name="y")
    net = tf.keras.layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    net = tf.keras.layers.MaxPooling2D(2)(net)
    net = tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu")(net)
    net = tf.keras.layers.MaxPooling2D(2)(net)
    net = tf.keras.layers.Flatten()(net)
    net = tf.keras.layers.Dense(64, activation="relu")(net)
    logits = tf.keras.layers.Dense(10)(net)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    correct = tf.equal(tf.argmax(logits, 1, tf.int32), y)
    return tf.Step(loss, metrics={"accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))})


if __name__ == "__main__":
    result = tf.Trainer(
        model,
        train={"x": train_x, "y": train_y},
        test={"x": test_x, "y": test_y},
        optimizer=tf.keras.optimizers.Adam(1e-3),
        batch_size=32,
        epochs=25,
        ps=2,
        workers=2,
        mode="async",
        seed=1,
        logdir="runs/digits_cnn",
        checkpoint_dir="checkpoints/digits_cnn",
    ).fit()
    print(f"test accuracy {result.metrics['accuracy']:.4f}, checkpoint {result.checkpoint}")
