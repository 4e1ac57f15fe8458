"""What programs of tutorials and books meet, on TensorFlow 2.15 and on Shardtape alike.

`record_keras_tf.py` keeps what TensorFlow makes of them in `data/keras_tutorial_tf215.npz`.
"""

import tempfile

import numpy as np

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def normal(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def fixed_weights(model):
    """Sets all weights to numbers that follow from their position and shape."""
    model.set_weights(
        [0.3 * normal(*w.shape, seed=10 + i) for i, w in enumerate(model.get_weights())]
    )
    return model


def summary(model):
    lines = []
    model.summary(print_fn=lines.append)
    return "\n".join(lines)


def message(run):
    try:
        run()
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


@case
def symbolic_tensors(tf):
    keras, layers = tf.keras, tf.keras.layers
    x = keras.Input((784,), name="digits")
    y = layers.Dense(64, activation="relu", name="hidden")(x)
    image = keras.Input((32, 32, 3), batch_size=4, dtype="float32", name="image")
    return [str(x), repr(x), str(y), repr(y), repr(image), str(image)]


@case
def functional_models(tf):
    keras, layers = tf.keras, tf.keras.layers
    title = keras.Input((None,), name="title")
    body = keras.Input((None,), name="body")
    tags = keras.Input((12,), name="tags")
    words = layers.GRU(8, name="title_state")(layers.Embedding(50, 6, name="title_words")(title))
    text = layers.GRU(4, name="body_state")(layers.Embedding(50, 6, name="body_words")(body))
    joined = layers.concatenate([words, text, tags], name="joined")
    model = keras.Model(
        [title, body, tags],
        [layers.Dense(1, name="priority")(joined), layers.Dense(3, name="department")(joined)],
    )
    inner = keras.Model(tags, layers.Dense(2, name="inner_dense")(tags), name="inner")
    outer_input = keras.Input((12,), name="outer_input")
    outer = keras.Model(outer_input, inner(outer_input), name="outer")
    return [
        summary(model), summary(outer), type(model).__name__, model.name[:5],
        ",".join(layer.name for layer in model.layers), ",".join(model.output_names),
    ]  # fmt: skip


@case
def metrics_and_losses_of_layers(tf):
    keras, layers = tf.keras, tf.keras.layers

    class Logged(layers.Layer):
        def call(self, inputs):
            self.add_metric(keras.backend.std(inputs), name="spread", aggregation="mean")
            self.add_loss(0.1 * tf.reduce_sum(inputs))
            return inputs

    class Endpoint(layers.Layer):
        def __init__(self, name=None):
            super().__init__(name=name)
            self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
            self.accuracy_fn = keras.metrics.BinaryAccuracy()

        def call(self, targets, logits):
            self.add_loss(self.loss_fn(targets, logits))
            self.add_metric(self.accuracy_fn(targets, logits), name="accuracy")
            return tf.nn.softmax(logits)

    keras.backend.clear_session()
    x, y = normal(24, 3), np.abs(normal(24, 2, seed=1))
    entrance = keras.Input((3,))
    inner = Logged()(layers.Dense(4, activation="relu")(entrance))
    model = keras.Model(entrance, layers.Dense(2)(inner))
    fixed_weights(model).compile("sgd", "mse")
    first = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    inputs, targets = keras.Input((3,), name="inputs"), keras.Input((2,), name="targets")
    logits = layers.Dense(2)(inputs)
    model = keras.Model([inputs, targets], Endpoint(name="end")(targets, logits))
    fixed_weights(model).compile("sgd")
    data = {"inputs": x, "targets": (y > 0.5).astype("float32")}
    second = model.fit(data, epochs=2, batch_size=8, shuffle=False, verbose=0).history
    layer = Logged()
    counts = []
    for _ in range(2):
        layer(np.ones((2, 3), np.float32))
        counts.append(len(layer.losses))
    out = [f"{sorted(first)} {sorted(second)} {counts}"]
    return [*out, *(np.float32(h[k]) for h in (first, second) for k in sorted(h))]


@case
def schedules_of_many_steps(tf):
    made = tf.keras.optimizers.schedules
    steps = np.linspace(0, 1000, 5)
    return [
        made.ExponentialDecay(0.1, 100, 0.9)(tf.range(4)),
        made.InverseTimeDecay(0.001, decay_steps=100, decay_rate=1)(steps.astype("float32")),
        made.PolynomialDecay(0.1, 500, 0.01)(steps.astype("float32").reshape(5, 1)),
        made.CosineDecay(0.1, 500)(steps.astype("float32")),
    ]


@case
def errors_of_shapes(tf):
    keras, layers = tf.keras, tf.keras.layers
    keras.backend.clear_session()
    model = keras.Sequential([layers.Dense(3, input_shape=(4,))])
    entrance = keras.Input((4,))
    functional = keras.Model(entrance, layers.Dense(1)(entrance))
    functional.compile("sgd", "mse")
    return [
        message(lambda: model(np.ones((2, 5), np.float32))),
        message(lambda: functional(np.ones((2, 5), np.float32))),
        message(lambda: functional.fit(np.ones((4, 4)), np.ones((5, 1)), verbose=0)),
        message(lambda: functional.fit(np.ones((4, 4)), np.ones((4, 1)), verbose=0,
                                       sample_weight=np.ones(3))),
        message(lambda: keras.models.load_model("nowhere.keras")),
    ]  # fmt: skip


@case
def names_of_nested_outputs(tf):
    keras, layers = tf.keras, tf.keras.layers
    entrance = keras.Input((4,))
    parts = layers.Lambda(lambda t: [t[:, :2], t[:, 2:]], name="parts")(entrance)
    model = keras.Model(entrance, parts)
    model.compile("sgd", "mse", metrics=["mae"])
    x = normal(6, 4)
    found = model.evaluate(x, [x[:, :2] + 1, x[:, 2:] - 2], verbose=0, return_dict=True)
    return [",".join(model.output_names), ",".join(found), *(np.float32(v) for v in found.values())]


@case
def batches_of_known_size(tf):
    keras, layers = tf.keras, tf.keras.layers
    sizes = []

    class Watching(keras.Model):
        def train_step(self, data):
            sizes.append(str(data[0].shape))
            return super().train_step(data)

    entrance = keras.Input((3,))
    model = Watching(entrance, layers.Dense(1)(entrance))
    model.compile("sgd", "mse")
    x, y = normal(16, 3), normal(16, 1)
    data = tf.data.Dataset.from_tensor_slices((x, y))
    for batches in (data.batch(8, drop_remainder=True), data.batch(5)):
        model.fit(batches, verbose=0)
        model.make_train_function(force=True)
    model.fit(x, y, verbose=0)
    return [",".join(sorted(set(sizes)))]


@case
def texts_and_vectors_as_inputs(tf):
    keras, layers = tf.keras, tf.keras.layers
    lookup = layers.StringLookup(vocabulary=["a", "b", "c"])
    vectorize = layers.TextVectorization(output_sequence_length=4, vocabulary=["good", "bad"])
    model = keras.Sequential([vectorize, layers.Embedding(5, 3), layers.GlobalMaxPooling1D()])
    model.predict(np.array(["good"]), verbose=0)
    fixed_weights(model)
    ragged = tf.ragged.constant([["a", "c"], ["z", "b", "a"]])
    back = layers.StringLookup(vocabulary=["a", "b", "c"], invert=True)
    scale = layers.Normalization(axis=None, input_shape=[1])
    scale.adapt(np.arange(8, dtype=np.float32))
    line = keras.Sequential([scale, layers.Dense(1)])
    line.layers[1].set_weights([np.float32([[2.0]]), np.float32([1.0])])
    table = layers.Normalization()
    table.adapt(normal(20, 3))
    first = keras.Sequential([table, layers.Dense(2)])
    return [
        model.predict(["good movie", "bad"], verbose=0),
        model.predict(["a good bad movie"], verbose=0),
        lookup(ragged).to_list().__repr__(), back(lookup(ragged)).to_list().__repr__(),
        line.predict(np.arange(4, dtype=np.float32), verbose=0),
        str(first.output_shape), str(first.count_params()),
        fixed_weights(first).predict(normal(2, 3, seed=4), verbose=0),
    ]  # fmt: skip


@case
def augmentation(tf):
    layers = tf.keras.layers
    images = np.random.RandomState(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    makes = (
        lambda: layers.RandomFlip(seed=3), lambda: layers.RandomFlip("horizontal"),
        lambda: layers.RandomRotation(0.1), lambda: layers.RandomZoom(0.2),
        lambda: layers.RandomZoom(0.2, 0.3), lambda: layers.RandomCrop(4, 5),
        lambda: layers.RandomContrast(0.3), lambda: layers.RandomTranslation(0.1, 0.2),
        lambda: layers.RandomBrightness(0.1, seed=5),
    )  # fmt: skip
    out = []
    for make in makes:
        tf.keras.utils.set_random_seed(3)
        layer = make()
        out += [layer(images, training=True) for _ in range(2)]
        model = tf.keras.Sequential([make()])
        model.build((None, 8, 8, 3))
        traced = tf.function(lambda x, model=model: model(x, training=True))
        out += [traced(images) for _ in range(2)]
        after = layers.Dense(2)  # how many numbers the layers took shows in what comes next
        after.build((None, 2))
        out.append(after.kernel)
    return out


@case
def backend_random(tf):
    k = tf.keras.backend
    tf.keras.utils.set_random_seed(3)
    return [k.random_normal((2,)), k.random_uniform((2,)), k.truncated_normal((2,)),
            k.random_normal((2,), seed=4)]  # fmt: skip


@case
def model_that_hands_itself_on(tf):
    class Mine(tf.keras.Model):
        def __init__(self):
            super().__init__(self)  # as the tutorial on text generation does
            self.dense = tf.keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    model = Mine()
    return [str(model(np.ones((2, 3), np.float32)).shape), model.name[:4]]


@case
def pooling_over_channels(tf):
    x = tf.constant(normal(2, 3, 4, 6))
    y = tf.nn.max_pool(x, (1, 1, 1, 3), (1, 1, 1, 3), "VALID")  # TensorFlow has no gradient of it
    pool = tf.nn.max_pool2d
    layer = tf.keras.layers.Lambda(lambda t: pool(t, [1, 1, 1, 2], [1, 1, 1, 2], "SAME"))
    return [y, layer(x)]


@case
def functions_in_configurations(tf):
    keras = tf.keras

    def start(shape, dtype=tf.float32):
        return tf.ones(shape, dtype) * 0.5

    def small(weights):
        return tf.reduce_sum(0.01 * tf.abs(weights))

    def positive(weights):
        return tf.where(weights < 0.0, tf.zeros_like(weights), weights)

    layer = keras.layers.Dense(2, kernel_initializer=start, kernel_regularizer=small,
                               kernel_constraint=positive, input_shape=(3,))  # fmt: skip
    own = {"start": start, "small": small, "positive": positive}
    model = keras.Sequential([layer])
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        again = keras.models.load_model(f"{folder}/model.keras", custom_objects=own)
    x = normal(4, 3)
    return [again(x), again.losses[0]]


@case
def models_of_lists_of_one(tf):
    keras, layers = tf.keras, tf.keras.layers
    entrance = keras.Input((3,))
    model = keras.Model(inputs=[entrance], outputs=[layers.Dense(2)(entrance)])
    fixed_weights(model)
    x = normal(4, 3)
    chain = keras.Sequential([model, layers.Dense(1)])
    return [model(x), model.predict(x, verbose=0), model([x]), str(chain.output_shape)]


@case
def names_in_functions(tf):
    keras, layers = tf.keras, tf.keras.layers
    keras.backend.clear_session()

    class Both(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)

        def call(self, inputs):
            return self.out(layers.concatenate([inputs, 2 * inputs]))

    model = Both()
    model.compile("sgd", "mse")
    model.fit(normal(8, 3), normal(8, 1), verbose=0)
    kinds = [isinstance(layers.Conv2DTranspose(2, 3), layers.Conv2D),
             isinstance(layers.Conv1DTranspose(2, 3), layers.Conv1D)]  # fmt: skip
    layers.TextVectorization()  # has a lookup of its own inside
    lookup = layers.StringLookup(vocabulary=["a"]).name
    return [layers.Concatenate().name, layers.Dense(1).name, str(kinds), lookup]


@case
def crossed_features(tf):
    layers, c = tf.keras.layers, tf.constant
    cross = layers.HashedCrossing
    words, numbers = c(["A", "B", "A", "B", "A"]), c([101, 101, 101, 102, 102])
    one = tf.keras.Input((1,), dtype="string")
    two = tf.keras.Input((1,), dtype="int64")
    model = tf.keras.Model([one, two], cross(4, output_mode="one_hot")((one, two)))
    return [
        cross(5)((words, numbers)), cross(5, output_mode="one_hot")((words, numbers)),
        cross(10)((c([["A"], ["B"]]), c([["x"], ["y"]]))), cross(1000)((c([1, 2]), c([3, -4]))),
        cross(10)((c([1, 2]), c([3, 4]), c([5, 6]))), cross(10)((c("A"), c("x"))),
        str(sorted(cross(3, name="h").get_config().items())), layers.Identity()(tf.ones(2)),
        model.predict([words[:, None], tf.cast(numbers[:, None], "int64")], verbose=0),
        layers.experimental.preprocessing.Rescaling(0.5)(tf.ones(2)),
    ]  # fmt: skip


@case
def known_networks(tf):
    apps = tf.keras.applications
    image = 255 * np.abs(np.sin(np.arange(2 * 33 * 32 * 3))).reshape(2, 33, 32, 3)
    image = image.astype(np.float32)
    makes = (
        lambda: apps.VGG16(weights=None, include_top=False, input_shape=(33, 32, 3)),
        lambda: apps.MobileNetV2(weights=None, include_top=False, input_shape=(33, 32, 3)),
        lambda: apps.MobileNetV2((33, 32, 3), 0.5, weights=None, classes=7),
        lambda: apps.ResNet50(weights=None, include_top=False, input_shape=(33, 32, 3),
                              pooling="avg"),
    )  # fmt: skip
    out = []
    for make in makes:
        tf.keras.backend.clear_session()
        tf.keras.utils.set_random_seed(4)
        model = make()
        listed = [f"{x.name} {type(x).__name__} {x.output_shape}" for x in model.layers]
        out.append(f"{model.name} {model.count_params()} {listed}")
        out.append(model(image / 255.0))
    empty = apps.MobileNetV2(weights=None, include_top=False, pooling="max")
    out.append(f"{empty.name} {empty.input_shape} {empty.output_shape}")
    for module in (apps.vgg16, apps.resnet50, apps.mobilenet_v2):
        out += [module.preprocess_input(image.copy()), module.preprocess_input(tf.constant(image))]
    out.append(apps.imagenet_utils.preprocess_input(image.astype(np.uint8), mode="torch"))
    return out
