"""A script run by the command behaves as under `python script.py`, and fails readably."""

import sys
from pathlib import Path

import pytest

from shardtape.deploy.run_script import ScriptError, UsageError, run_script
from shardtape.workers.config import overriding


@pytest.fixture
def write(tmp_path: Path):
    def writer(text: str, name: str = "script.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return writer


def test_it_is_main_with_its_arguments_and_its_neighbours(write, capsys) -> None:
    write("VALUE = 7\n", "neighbour_of_script.py")
    script = write(
        "import sys, neighbour_of_script\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv[1:], neighbour_of_script.VALUE, __file__)\n"
    )
    before = list(sys.argv), list(sys.path)
    run_script(script, ["--data", "x"])
    assert capsys.readouterr().out == f"['--data', 'x'] 7 {script}\n"
    assert (sys.argv, sys.path) == before


def test_no_such_script(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere.py is not there"):
        run_script(tmp_path / "nowhere.py")
    with pytest.raises(UsageError, match="is a directory"):
        run_script(tmp_path)


def test_an_error_of_ours_is_one_sentence_and_the_scripts_line(write) -> None:
    script = write(
        "from shardtape.errors import InvalidArgumentError\n"
        "def f():\n"
        "    raise InvalidArgumentError('mode is wrong')\n"
        "f()\n"
    )
    with pytest.raises(ScriptError) as caught:
        run_script(script)
    assert caught.value.message == (
        f"mode is wrong\n  at {script}:3: raise InvalidArgumentError('mode is wrong')"
    )


def test_an_error_of_the_script_shows_its_own_traceback(write) -> None:
    script = write("def f():\n    return 1 / 0\n\nf()\n")
    with pytest.raises(ScriptError) as caught:
        run_script(script)
    text = caught.value.message
    assert f'File "{script}", line 4' in text and f'File "{script}", line 2' in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "runpy" not in text and "run_script.py" not in text


def test_a_syntax_error_names_file_and_line(write) -> None:
    script = write("x = 1\ny = = 2\n")
    with pytest.raises(ScriptError) as caught:
        run_script(script)
    lines = caught.value.message.splitlines()
    assert lines[:3] == ["the script failed", f'  File "{script}", line 2', "    y = = 2"]
    assert lines[-1] == "SyntaxError: invalid syntax" and len(lines) == 5


def test_a_syntax_error_of_a_neighbour_shows_who_imports_it(write) -> None:
    neighbour = write("y = = 2\n", "broken_neighbour.py")
    script = write("import broken_neighbour\n")
    with pytest.raises(ScriptError) as caught:
        run_script(script)
    text = caught.value.message
    assert f'File "{script}", line 1' in text and f'File "{neighbour}", line 1' in text
    assert "frozen" not in text and "runpy" not in text


def test_frames_of_ours_are_left_out_of_a_traceback(write) -> None:
    script = write(
        "import shardtape as tf\n"
        "def inner():\n"
        "    tf.keras.optimizers.get('adamm')\n"
        "try:\n"
        "    inner()\n"
        "except ValueError as error:\n"
        "    raise RuntimeError('mine') from error\n"
    )
    with pytest.raises(ScriptError) as caught:
        run_script(script)
    text = caught.value.message
    files = {line.split('"')[1] for line in text.splitlines() if line.startswith("  File ")}
    assert files == {str(script)}, text
    assert "unknown optimizer 'adamm'" in text and "RuntimeError: mine" in text
    assert f"inside shardtape are left out; `python {script}` shows them" in text


def test_frames_of_the_user_that_we_called_stay(write) -> None:
    script = write(
        "import shardtape as tf\n"
        "def mine(x):\n"
        "    return 1 / 0\n"
        "tf.nest.map_structure(mine, [1.0])\n"
    )
    with pytest.raises(ScriptError, match="line 3, in mine"):
        run_script(script)


def test_a_line_of_the_user_behind_an_error_of_ours(write) -> None:
    script = write(
        "import shardtape as tf\n"
        "def mine(x):\n"
        "    return 1 / 0\n"
        "tf.py_function(mine, [tf.constant(1.0)], tf.float32)\n"
    )
    with pytest.raises(ScriptError, match=r"script\.py:3: return 1 / 0$"):
        run_script(script)


def test_a_script_without_a_job(write) -> None:
    nothing = write("x = 1\n", "nothing.py")
    with overriding() as uses, pytest.raises(UsageError, match=r"nothing.py ended without.*fit"):
        run_script(nothing, uses=uses)
    half = write("from shardtape.workers.config import resolve\nresolve({})\n", "half.py")
    with overriding() as uses, pytest.raises(UsageError, match=r"never called its fit\(\)"):
        run_script(half, uses=uses)


def test_exit_status_and_interrupt_pass_through(write) -> None:
    with pytest.raises(SystemExit) as caught:
        run_script(write("import sys; sys.exit(3)"))
    assert caught.value.code == 3
    with pytest.raises(KeyboardInterrupt):
        run_script(write("raise KeyboardInterrupt"))
