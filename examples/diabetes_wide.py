"""Wide regression: disease progression of 442 patients from ten measurements.

The measurements, their squares and their products make 65 columns under one linear layer: few
parameters, many of them weak, which is what Adagrad's rate for each weight is made for.
"""

import shardtape as tf
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

features, progression = load_diabetes(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    features, progression, test_size=0.2, random_state=42
)
crosses = PolynomialFeatures(2, include_bias=False).fit(train_x)
columns = StandardScaler().fit(crosses.transform(train_x))
scale = float(train_y.std())


def wide(x):
    """Ten measurements to 65 columns of mean 0 and deviation 1, as in the training part."""
    return columns.transform(crosses.transform(x)).astype("float32")


def standard(y):
    """Progression in deviations from the mean of the training part."""
    return ((y - train_y.mean()) / scale).astype("float32")


def model():
    """One linear layer over all columns; squared error, small weights."""
    x = tf.placeholder(tf.float32, (None, 65), name="x")
    y = tf.placeholder(tf.float32, (None,), name="y")
    weights = tf.Variable(tf.zeros((65, 1)), name="weights")
    bias = tf.Variable(tf.zeros(()), name="bias")
    error = tf.reshape(tf.matmul(x, weights), (-1,)) + bias - y
    loss = tf.reduce_mean(tf.square(error)) + 0.01 * tf.reduce_sum(tf.square(weights))
    return tf.Step(loss, metrics={"absolute_error": tf.reduce_mean(tf.abs(error))})


if __name__ == "__main__":
    result = tf.Trainer(
        model,
        train={"x": wide(train_x), "y": standard(train_y)},
        test={"x": wide(test_x), "y": standard(test_y)},
        optimizer=tf.keras.optimizers.Adagrad(0.05),
        batch_size=16,
        epochs=30,
        ps=2,
        workers=2,
        mode="sync",
        seed=1,
        logdir="runs/diabetes_wide",
        checkpoint_dir="checkpoints/diabetes_wide",
    ).fit()
    error = result.metrics["absolute_error"] * scale
    print(f"test error {error:.1f} (mean absolute), checkpoint {result.checkpoint}")
