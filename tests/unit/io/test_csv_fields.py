"""Fields of csv records, against Python's own csv module."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardtape.errors import InvalidArgumentError
from shardtape.io.csv_fields import Format, records_of, split

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=12)


@given(st.lists(st.lists(_TEXT, min_size=1, max_size=5), min_size=1, max_size=6),
       st.integers(1, 9))  # fmt: skip
def test_records_and_fields_as_python_writes_them(rows, block):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    data = file.getvalue().encode()
    blocks = [data[i : i + block] for i in range(0, len(data), block)]
    found = [
        [f.decode() for f in split(r, Format(), i)] for i, r in enumerate(records_of(blocks, True))
    ]
    assert found == rows


@pytest.mark.parametrize("record", [b'a"b', b'"a"b', b'"a', b'a,"b""', b"a\rb", b'"a"",b'])
def test_quotes_in_wrong_places(record):
    with pytest.raises(InvalidArgumentError, match=r"record 7"):
        split(record, Format(), 7)


def test_other_formats():
    assert split(b'a|"b|c"|', Format(b"|"), 0) == [b"a", b"b|c", b""]
    assert split(b'"a,b"', Format(quotes=False), 0) == [b'"a', b'b"']
    assert split(b"", Format(), 0) == [b""]
