"""`tf.io`: files, records, and what is in them."""

from shardtape.absent import no_such_name as _no_such_name
from shardtape.io import gfile
from shardtape.io.decoding import (
    decode_base64,
    decode_compressed,
    decode_csv,
    decode_raw,
    encode_base64,
    parse_tensor,
    serialize_tensor,
)
from shardtape.io.files import matching_files, read_file, write_file
from shardtape.io.graph_files import match_filenames_once, write_graph
from shardtape.io.json_examples import decode_json_example
from shardtape.io.parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    SparseFeature,
    VarLenFeature,
    parse_example,
    parse_sequence_example,
    parse_single_example,
    parse_single_sequence_example,
)
from shardtape.io.proto import decode_proto
from shardtape.io.proto_encoding import encode_proto
from shardtape.io.ragged_feature import RaggedFeature
from shardtape.io.sparse_serialization import (
    deserialize_many_sparse,
    serialize_many_sparse,
    serialize_sparse,
)
from shardtape.io.writer import TFRecordOptions, TFRecordWriter
from shardtape.ops.image_files import (
    decode_and_crop_jpeg,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    extract_jpeg_shape,
    is_jpeg,
)

__all__ = [
    "decode_and_crop_jpeg",
    "extract_jpeg_shape",
    "serialize_sparse",
    "serialize_many_sparse",
    "deserialize_many_sparse",
    "decode_proto",
    "encode_proto",
    "decode_json_example",
    "is_jpeg",
    "encode_png",
    "encode_jpeg",
    "decode_png",
    "decode_jpeg",
    "decode_image",
    "decode_gif",
    "decode_bmp",
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "RaggedFeature",
    "SparseFeature",
    "TFRecordOptions",
    "TFRecordWriter",
    "VarLenFeature",
    "decode_base64",
    "decode_compressed",
    "decode_csv",
    "decode_raw",
    "encode_base64",
    "gfile",
    "match_filenames_once",
    "matching_files",
    "parse_example",
    "parse_sequence_example",
    "parse_single_example",
    "parse_single_sequence_example",
    "parse_tensor",
    "read_file",
    "serialize_tensor",
    "write_file",
    "write_graph",
]

__getattr__ = _no_such_name("tf.io", __all__)
