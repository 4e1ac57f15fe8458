"""Whether a driver that joins a Ray cluster sends the token that lies on the machine."""

import sys

import pytest

from shardtape.workers.ray_token import use_token_that_is_there


@pytest.mark.parametrize(
    ("variables", "file", "imported", "expected"),
    [
        ({}, True, False, "token"),
        ({"RAY_AUTH_TOKEN": "ab"}, False, False, "token"),
        ({"RAY_AUTH_TOKEN_PATH": "/x"}, False, False, "token"),
        ({}, False, False, None),
        ({"RAY_AUTH_MODE": "disabled"}, True, False, "disabled"),
        ({}, True, True, None),
    ],
)
def test_the_token_that_is_there_is_used(
    tmp_path, monkeypatch, variables, file, imported, expected
):
    if file:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    if imported:
        monkeypatch.setitem(sys.modules, "ray", sys)
    environment = {"HOME": str(tmp_path), **variables}
    use_token_that_is_there(environment)
    assert environment.get("RAY_AUTH_MODE") == expected
