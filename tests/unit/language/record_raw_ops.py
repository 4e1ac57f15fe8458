"""Records what TensorFlow 2.15's raw ops give, for `test_raw_functions.py`.

Not a test: run it by hand in an environment that has TensorFlow 2.15.

    python record_raw_ops.py raw_ops_2_15.json
"""

import json
import sys

import numpy as np

X = np.sin(np.arange(12.0) ** 2).reshape(3, 4).astype("float32")
Y = np.cos(np.arange(12.0)).reshape(3, 4).astype("float32")
IMAGE = np.sin(np.arange(64.0) ** 2).reshape(1, 4, 4, 4).astype("float32")
PLACES = np.array([[0, 1], [2, 0], [2, 3]], np.int64)
VALUES = np.array([1.0, 2.0, 3.0], np.float32)
SHAPE = np.array([4, 4], np.int64)
SPARSE = {"indices": PLACES, "values": VALUES, "shape": SHAPE}
A = {f"a_{k}": v for k, v in SPARSE.items()}
GIVEN = {f"input_{k}": v for k, v in SPARSE.items()}
ONES4 = np.ones(4, np.float32)
BATCH_NORM = {"x": IMAGE, "scale": ONES4 * 2, "offset": ONES4, "mean": ONES4 * 0.1,
              "variance": ONES4 * 0.5}  # fmt: skip

CASES = [
    ("Add", {"x": X, "y": Y}),
    ("Atan2", {"y": X, "x": Y}),
    ("ApproximateEqual", {"x": X, "y": X + 1e-3, "tolerance": 1e-2}),
    ("BatchMatMul", {"x": X, "y": Y, "adj_y": True}),
    ("BatchMatMulV3", {"x": X, "y": Y, "Tout": "float32", "adj_x": True}),
    ("BandedTriangularSolve", {"matrix": X[:2, 1:], "rhs": Y}),
    ("Bucketize", {"input": X, "boundaries": [-0.5, 0.0, 0.5]}),
    ("ClipByValue", {"t": X, "clip_value_min": -0.2, "clip_value_max": 0.3}),
    ("ConjugateTranspose", {"x": (X + 1j * Y).astype("complex64"), "perm": [1, 0]}),
    ("Cross", {"a": X[:, :3], "b": Y[:, :3]}),
    ("EuclideanNorm", {"input": X, "axis": [1], "keep_dims": True}),
    ("Inv", {"x": Y}),
    ("LinSpace", {"start": 1.0, "stop": 2.0, "num": 5}),
    ("MatrixSolveLs", {"matrix": X.T.copy(), "rhs": Y.T.copy(),
                       "l2_regularizer": np.float64(0.1)}),
    ("Mod", {"x": np.int32([-7, 7]), "y": np.int32([3, -3])}),
    ("NthElement", {"input": X, "n": 2}),
    ("NthElement", {"input": X, "n": 1, "reverse": True}),
    ("PopulationCount", {"x": np.int32([0, 1, -1, 255])}),
    ("PopulationCount", {"x": np.uint8([0, 7, 255])}),
    ("Select", {"condition": X > 0, "x": X, "y": Y}),
    ("TridiagonalMatMul", {"superdiag": X[:1], "maindiag": X[1:2], "subdiag": X[2:],
                           "rhs": Y.T.copy()}),
    ("BatchToSpace", {"input": np.arange(8.0).reshape(4, 1, 2, 1).astype("float32"),
                      "crops": [[0, 0], [0, 1]], "block_size": 2}),
    ("SpaceToBatch", {"input": IMAGE, "paddings": [[0, 0], [1, 1]], "block_size": 2}),
    ("Concat", {"concat_dim": 1, "values": [X, Y]}),
    ("Diag", {"diagonal": VALUES}),
    ("DiagPart", {"input": X[:3, :3]}),
    ("Empty", {"shape": [2], "dtype": "float32", "init": True}),
    ("ExtractImagePatches", {"images": IMAGE, "ksizes": [1, 2, 2, 1], "strides": [1, 2, 2, 1],
                             "rates": [1, 1, 1, 1], "padding": "VALID"}),
    ("Gather", {"params": X, "indices": [2, 0]}),
    ("HistogramFixedWidth", {"values": X, "value_range": [-1.0, 1.0], "nbins": 4}),
    ("MatrixDiag", {"diagonal": X}),
    ("MatrixDiagV2", {"diagonal": X[:2, :3], "k": [-1, 0], "num_rows": -1, "num_cols": -1,
                      "padding_value": 9.0}),
    ("MatrixDiagPart", {"input": X}),
    ("MatrixDiagPartV2", {"input": X, "k": [-1, 1], "padding_value": 9.0}),
    ("MatrixSetDiag", {"input": X, "diagonal": VALUES}),
    ("MatrixSetDiagV2", {"input": X, "diagonal": VALUES, "k": 1}),
    ("ParallelDynamicStitch", {"indices": [[0, 2], [1]], "data": [[1.0, 2.0], [3.0]]}),
    ("Reverse", {"tensor": X, "dims": [False, True]}),
    ("ShapeN", {"input": [X, VALUES]}),
    ("SparseToDense", {"sparse_indices": PLACES, "output_shape": SHAPE, "sparse_values": VALUES,
                       "default_value": -1.0}),
    ("UniqueV2", {"x": np.int32([3, 1, 3, 2]), "axis": np.int64([0])}),
    ("Bincount", {"arr": np.int32([1, 2, 2, 7]), "size": 4, "weights": np.float32([])}),
    ("Bincount", {"arr": np.int32([1, 2, 2]), "size": 4, "weights": VALUES}),
    ("DenseBincount", {"input": np.int32([[1, 2], [2, 2]]), "size": 3,
                       "weights": np.float32([]), "binary_output": True}),
    ("BiasAddV1", {"value": X, "bias": ONES4}),
    ("Dilation2D", {"input": IMAGE, "filter": IMAGE[0, :2, :2], "strides": [1, 1, 1, 1],
                    "rates": [1, 1, 1, 1], "padding": "VALID"}),
    ("ExtractGlimpse", {"input": IMAGE, "size": [2, 2], "offsets": [[0.5, -0.5]]}),
    ("FusedBatchNorm", BATCH_NORM | {"is_training": False}),
    ("FusedBatchNormV2", BATCH_NORM | {"is_training": False, "epsilon": 0.01}),
    ("FusedBatchNormV3", BATCH_NORM | {"mean": [], "variance": []}),
    ("FusedBatchNormV3", BATCH_NORM | {"exponential_avg_factor": 0.1}),
    ("InTopK", {"predictions": X, "targets": np.int32([0, 1, 2]), "k": 2}),
    ("NonMaxSuppression", {"boxes": [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9]],
                           "scores": [0.5, 0.9], "max_output_size": 2}),
    ("StaticRegexFullMatch", {"input": ["ab", "b"], "pattern": "a.*"}),
    ("StaticRegexReplace", {"input": ["abab"], "pattern": "a", "rewrite": "x",
                            "replace_global": False}),
    ("StatelessRandomUniform", {"shape": [3], "seed": [1, 2]}),
    ("StatelessRandomNormal", {"shape": [3], "seed": [1, 2]}),
    ("StatelessTruncatedNormal", {"shape": [3], "seed": [1, 2]}),
    ("StatelessRandomUniformInt", {"shape": [3], "seed": [1, 2], "minval": 3, "maxval": 90}),
    ("SparseAdd", A | {"b_indices": PLACES[1:], "b_values": VALUES[1:], "b_shape": SHAPE,
                       "thresh": 0.0}),
    ("SparseConcat", {"indices": [PLACES, PLACES], "values": [VALUES, VALUES],
                      "shapes": [SHAPE, SHAPE], "concat_dim": 1}),
    ("SparseFillEmptyRows", {"indices": PLACES, "values": VALUES, "dense_shape": SHAPE,
                             "default_value": 7.0}),
    ("SparseReduceSum", GIVEN | {"reduction_axes": [1]}),
    ("SparseReduceMax", GIVEN | {"reduction_axes": [0], "keep_dims": True}),
    ("SparseReduceSumSparse", GIVEN | {"reduction_axes": [1]}),
    ("SparseReorder", {"input_indices": PLACES[::-1].copy(), "input_values": VALUES,
                       "input_shape": SHAPE}),
    ("SparseReshape", {"input_indices": PLACES, "input_shape": SHAPE,
                       "new_shape": np.int64([2, -1])}),
    ("SparseSegmentMean", {"data": X, "indices": np.int32([0, 2, 1]),
                           "segment_ids": np.int32([0, 0, 1])}),
    ("SparseSegmentSqrtN", {"data": X, "indices": np.int32([0, 2, 1]),
                            "segment_ids": np.int32([0, 0, 1])}),
    ("SparseSegmentSumWithNumSegments", {"data": X, "indices": np.int32([0, 2]),
                                         "segment_ids": np.int32([0, 2]), "num_segments": 4}),
    ("SparseSlice", SPARSE | {"start": np.int64([1, 0]), "size": np.int64([3, 2])}),
    ("SparseSoftmax", {"sp_indices": PLACES, "sp_values": VALUES, "sp_shape": SHAPE}),
    ("SparseTensorDenseAdd", A | {"b": np.ones((4, 4), np.float32)}),
    ("SparseTensorDenseMatMul", A | {"b": X.T.copy(), "adjoint_a": True}),
]  # fmt: skip


def _given(tf, value):
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [tf.constant(v) for v in value]
    if isinstance(value, np.ndarray):
        return tf.constant(value)
    return value


def results(tf):
    """Name and outputs of each case: real numbers, pairs of complex ones, texts."""
    found = []
    for name, arguments in CASES:
        made = getattr(tf.raw_ops, name)(**{k: _given(tf, v) for k, v in arguments.items()})
        outputs = list(made) if isinstance(made, (tuple, list)) else [made]
        arrays = [np.asarray(o) for o in outputs]
        fields = list(getattr(made, "_fields", []))
        found.append([name, fields, [_plain(a) for a in arrays]])
    return found


def _plain(array):
    if array.dtype == object:
        return [v.decode() for v in array.ravel()]
    if array.dtype.kind == "c":
        return [array.real.tolist(), array.imag.tolist()]
    return array.tolist()


if __name__ == "__main__":
    import tensorflow

    with open(sys.argv[1], "w") as file:
        json.dump(results(tensorflow), file)
