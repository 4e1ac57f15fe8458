"""Metrics that count, and focal losses, on TensorFlow 2.15 and on Shardtape alike.

`record_keras_tf.py` keeps what TensorFlow makes of them in `data/keras_metrics_tf215.npz`.
"""

import numpy as np

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def samples(seed=0, rows=40, columns=None):
    """(labels 0 and 1, predictions in 0..1, weights of the rows)"""
    rng = np.random.RandomState(seed)
    shape = (rows,) if columns is None else (rows, columns)
    y = (rng.uniform(size=shape) < 0.4).astype(np.float32)
    p = np.clip(0.35 * y + rng.uniform(0, 0.65, size=shape), 0, 1).astype(np.float32)
    p.reshape(-1)[:3] = 0.0, 1.0, 0.5
    return y, p, rng.uniform(0.5, 2.0, size=rows).astype(np.float32)


def rows_of_classes(seed=0, rows=30, classes=4):
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, classes, rows)
    p = rng.uniform(size=(rows, classes)) + 0.7 * np.eye(classes)[labels]
    return np.eye(classes, dtype=np.float32)[labels], (p / p.sum(1, keepdims=True)).astype("f4")


def run(metric, batches):
    """Results after each batch, and after a reset."""
    out = []
    for batch in batches:
        metric.update_state(*batch)
        out.append(metric.result())
    metric.reset_state()
    return [*out, metric.result()]


def two_batches(weighted=False, columns=None):
    out = []
    for seed in (0, 1):
        y, p, w = samples(seed, columns=columns)
        out.append((y, p, w) if weighted else (y, p))
    return out


COUNTS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision",
          "Recall")  # fmt: skip


@case
def counts(tf):
    out = []
    for name in COUNTS:
        metric = getattr(tf.keras.metrics, name)
        out += run(metric(), two_batches())
        out += run(metric(thresholds=0.7), two_batches(True))
        out += run(metric(thresholds=[0.0, 0.3, 0.5, 1.0]), two_batches(True))
        y, p, w = samples()
        out += run(metric(), [(y[:, None], p, w), (y, p[:, None]), (y[:, None], p[:, None], w)])
        out.append(str(metric().get_config()["thresholds"]))
        out.append(",".join(v.name for v in metric().variables))
    return out


@case
def precision_and_recall_of_classes(tf):
    y, p = rows_of_classes()
    w = np.linspace(0.5, 1.5, len(y)).astype(np.float32)
    out = []
    for name in ("Precision", "Recall"):
        metric = getattr(tf.keras.metrics, name)
        out += run(metric(top_k=2), [(y, p), (y, p, w)])
        out += run(metric(class_id=1), [(y, p), (y, p, w)])
        out += run(metric(top_k=1, class_id=2), [(y, p, w)])
        out += run(metric(top_k=2, thresholds=[0.2, 0.4]), [(y, p)])
    return out


@case
def areas(tf):
    out = []
    for curve in ("ROC", "PR"):
        for way in ("interpolation", "minoring", "majoring"):
            for options in ({}, {"num_thresholds": 5}, {"thresholds": [0.2, 0.5, 0.9]}):
                metric = tf.keras.metrics.AUC(curve=curve, summation_method=way, **options)
                out += run(metric, two_batches(way == "interpolation"))
    y, p, _ = samples()
    logits = np.log(np.clip(p, 1e-3, 1 - 1e-3) / (1 - np.clip(p, 1e-3, 1 - 1e-3)))
    out += run(tf.keras.metrics.AUC(from_logits=True), [(y, logits.astype("f4"))])
    out.append(str(sorted(tf.keras.metrics.AUC(name="a", thresholds=[0.3]).get_config().items())))
    return out


@case
def areas_of_labels(tf):
    out = []
    for curve in ("ROC", "PR"):
        for options in ({}, {"label_weights": [1.0, 2.0, 0.5]}, {"num_labels": 3},
                        {"num_thresholds": 11}):  # fmt: skip
            metric = tf.keras.metrics.AUC(curve=curve, multi_label=True, **options)
            out += run(metric, two_batches(columns=3))
    out += run(tf.keras.metrics.AUC(label_weights=[1.0, 2.0, 0.5]), two_batches(columns=3))
    return out


@case
def rates_at_rates(tf):
    m = tf.keras.metrics
    makes = (m.SensitivityAtSpecificity, m.SpecificityAtSensitivity, m.PrecisionAtRecall,
             m.RecallAtPrecision)  # fmt: skip
    out = []
    for make in makes:
        for value in (0.2, 0.8, 1.0):
            out += run(make(value), two_batches(True))
            out += run(make(value, num_thresholds=3), two_batches())
        out += run(make(0.5, num_thresholds=1, class_id=1), two_batches(columns=3))
        out.append(str(sorted(make(0.3, name="n").get_config().items())))
    return out


@case
def overlaps(tf):
    m = tf.keras.metrics
    rng = np.random.RandomState(0)
    true, made = rng.randint(0, 3, (4, 5)), rng.randint(0, 3, (4, 5))
    w = rng.uniform(size=(4, 5)).astype("f4")
    y, p = rows_of_classes()
    b, q, v = samples()
    return [
        *run(m.MeanIoU(3), [(true, made), (true, made, w)]),
        *run(m.MeanIoU(4), [(true, made)]),
        *run(m.MeanIoU(3, ignore_class=1), [(true, made)]),
        *run(m.IoU(3, [0, 2]), [(true, made), (true, made, w)]),
        *run(m.OneHotIoU(4, [1, 3]), [(y, p)]),
        *run(m.OneHotMeanIoU(4), [(y, p)]),
        *run(m.BinaryIoU(target_class_ids=[1], threshold=0.4), [(b, q), (b, q, v)]),
        *run(m.BinaryIoU(), [(b, q)]),
        str(sorted(m.MeanIoU(3, name="n").get_config().items())),
    ]


@case
def scores(tf):
    m = tf.keras.metrics
    y, p = rows_of_classes()
    w = np.linspace(0.5, 1.5, len(y)).astype("f4")
    rng = np.random.RandomState(0)
    t, r = rng.normal(size=(20, 3)).astype("f4"), rng.normal(size=(20, 3)).astype("f4")
    out = []
    for average in (None, "micro", "macro", "weighted"):
        out += run(m.F1Score(average=average), [(y, p), (y, p, w)])
        out += run(m.FBetaScore(average=average, beta=2.0, threshold=0.3), [(y, p), (y, p, w)])
    for way in ("uniform_average", "variance_weighted_average", None):
        metric = m.R2Score(class_aggregation=way)
        for batch in ((t, t + 0.3 * r), (t + r, t, np.linspace(0.5, 1.5, 20).astype("f4"))):
            metric.update_state(*batch)
            out.append(metric.result())
    metric = m.R2Score(num_regressors=2)
    metric.update_state(t, t + 0.3 * r)
    out.append(metric.result())
    out += run(m.MeanTensor(), [(t,), (r, 0.5), (t, np.linspace(0, 1, 20).astype("f4")[:, None])])
    out += run(m.MeanRelativeError(normalizer=[1.0, 3.0, 2.0, 3.0]),
               [([1.0, 3.0, 2.0, 3.0], [2.0, 4.0, 6.0, 8.0])])  # fmt: skip
    return out


@case
def focal_losses(tf):
    k = tf.keras.losses
    b, q, w = samples()
    b, q = b.reshape(8, 5), q.reshape(8, 5)
    y, p = rows_of_classes()
    logits = np.log(np.clip(q, 1e-3, 0.999))
    return [
        k.binary_focal_crossentropy(b, q),
        k.binary_focal_crossentropy(b, q, apply_class_balancing=True, alpha=0.3, gamma=1.5),
        k.binary_focal_crossentropy(b, logits, from_logits=True, label_smoothing=0.1),
        k.BinaryFocalCrossentropy(apply_class_balancing=True)(b, q, w[:8]),
        k.categorical_focal_crossentropy(y, p),
        k.categorical_focal_crossentropy(y, np.log(p), from_logits=True, gamma=1.0, alpha=0.5),
        k.CategoricalFocalCrossentropy(label_smoothing=0.1)(y, p),
        k.get("BinaryFocalCrossentropy").name,
        tf.keras.metrics.kld(y, p), tf.keras.metrics.logcosh(y, p),
        tf.keras.metrics.squared_hinge(y, p), tf.keras.metrics.poisson(y, p),
    ]  # fmt: skip


@case
def in_fit(tf):
    tf.keras.backend.clear_session()
    y, p, _ = samples(rows=64)
    x = np.stack([p, 1 - p, y * p], 1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid", input_shape=(3,))])
    model.set_weights([np.float32([[0.5], [-0.3], [0.2]]), np.zeros(1, np.float32)])
    m = tf.keras.metrics
    model.compile("sgd", "binary_crossentropy", [
        "AUC", m.AUC(name="prc", curve="PR"), "Precision", m.Recall(thresholds=0.6),
        m.TruePositives(name="tp"), m.F1Score(threshold=0.5), m.R2Score(),
    ])  # fmt: skip
    h = model.fit(x, y[:, None], batch_size=16, epochs=2, shuffle=False, verbose=0,
                  validation_data=(x[:20], y[:20, None])).history  # fmt: skip
    return [",".join(h), *(np.asarray(v, np.float32) for v in h.values())]
