"""A script run by the command behaves as under `python script.py`, and fails readably."""

import sys
from pathlib import Path

import pytest

from shardtape.deploy.run_script import ScriptError, run_script
from shardtape.errors import NotFoundError


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
    with pytest.raises(NotFoundError, match="nowhere.py"):
        run_script(tmp_path / "nowhere.py")


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
    with pytest.raises(ScriptError, match=r"script\.py.*line 2(.|\n)*SyntaxError"):
        run_script(script)


def test_exit_status_and_interrupt_pass_through(write) -> None:
    with pytest.raises(SystemExit) as caught:
        run_script(write("import sys; sys.exit(3)"))
    assert caught.value.code == 3
    with pytest.raises(KeyboardInterrupt):
        run_script(write("raise KeyboardInterrupt"))
