"""The digits once more, with a step written as a plain function of a batch, without placeholders.

`model()` builds the Variables and returns the function; a batch is a dictionary of tensors. It is
written as an eager step, but each worker traces it once, as `tf.function` would, and runs what was
traced: Python's own effects in it (a print, a counter) come when it is traced, not per batch.
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
    """Weights made by hand, to show that a Variable needs no layer around it."""
    weights = [
        tf.Variable(tf.random.normal((64, 128), stddev=0.1), name="hidden/kernel"),
        tf.Variable(tf.zeros((128,)), name="hidden/bias"),
        tf.Variable(tf.random.normal((128, 10), stddev=0.1), name="logits/kernel"),
        tf.Variable(tf.zeros((10,)), name="logits/bias"),
    ]

    def step(batch):
        hidden = tf.nn.relu(tf.matmul(batch["x"], weights[0]) + weights[1])
        logits = tf.matmul(hidden, weights[2]) + weights[3]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch["y"], logits=logits)
        correct = tf.equal(tf.argmax(logits, 1, tf.int32), batch["y"])
        accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
        return tf.Step(tf.reduce_mean(losses), metrics={"accuracy": accuracy})

    return step


if __name__ == "__main__":
    result = tf.Trainer(
        model,
        train={"x": train_x, "y": train_y},
        test={"x": test_x, "y": test_y},
        optimizer=tf.keras.optimizers.SGD(0.1, momentum=0.9),
        batch_size=32,
        epochs=20,
        ps=2,
        workers=2,
        mode="ssp",
        staleness=2,
        seed=1,
        logdir="runs/digits_eager",
        checkpoint_dir="checkpoints/digits_eager",
    ).fit()
    print(f"test accuracy {result.metrics['accuracy']:.4f}, checkpoint {result.checkpoint}")
