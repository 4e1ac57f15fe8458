"""Options: the order of their sources, and one readable error for each wrong value."""

import pickle

import numpy as np
import pytest

from shardtape.errors import InvalidArgumentError, NotFoundError
from shardtape.workers import config
from shardtape.workers.config import Interval, JobConfig, OptionError, overriding, resolve


def test_later_sources_win():
    script = {"epochs": 1, "batch_size": 1, "seed": 1, "job": "a"}
    file = {"epochs": 2, "batch_size": 2, "seed": 2}
    environment = {"SHARDTAPE_EPOCHS": "3", "SHARDTAPE_BATCH_SIZE": "3", "SHARDTAPE_HOME": "/x"}
    found = resolve(script, file, environment, {"epochs": 4})
    assert (found.epochs, found.batch_size, found.seed, found.job) == (4, 3, 2, "a")
    assert found.mode == "async", "a default"


def test_the_command_line_wins_over_what_a_script_says():
    with overriding({"ps": 2, "workers": 2, "seed": None}, {"seed": 9}):
        found = resolve({"ps": 1, "workers": 1, "seed": 5}, environment={})
    assert (found.ps, found.workers, found.seed) == (2, 2, 9)
    assert resolve({"ps": 1, "workers": 1}, environment={}).ps == 1


def test_text_is_converted():
    environment = {
        "SHARDTAPE_RESUME": "yes",
        "SHARDTAPE_CHECKPOINT_DIR": "c",
        "SHARDTAPE_GPUS_PER_WORKER": "0.0",
        "SHARDTAPE_THREADS": "none",
    }
    found = resolve({}, environment=environment)
    assert found.resume is True and found.gpus_per_worker == 0.0 and found.threads is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"mode": "asynch"}, "mode is 'asynch': expected one of async, ssp, sync; did you mean"),
        ({"staleness": -1, "mode": "ssp"}, "staleness is -1: expected 0 or more"),
        ({"staleness": 2}, "staleness is 2 but mode is 'async'"),
        (
            {"backup_workers": 1},
            "1 but mode is 'async': it belongs to mode 'sync'",
        ),
        ({"ps": 2}, "ps is 2 and workers is 0"),
        ({"epochs": 0}, "epochs is 0: expected 1 or more"),
        ({"epochs": "many"}, "epochs is 'many': expected a whole number"),
        ({"epochs": 1.5}, "epochs is 1.5: expected a whole number"),
        ({"epochs": np.float32(1.5)}, "expected a whole number"),
        ({"epochs": float("nan")}, "expected a whole number"),
        ({"seed": 2**63}, "seed is 9223372036854775808: expected 0 to 9223372036854775807"),
        ({"batch_size": True}, "batch_size is True: expected a whole number"),
        ({"epochs": None}, "epochs is None"),
        ({"shuffle": "perhaps"}, "shuffle is 'perhaps': expected true or false"),
        ({"resume": True}, "resume needs checkpoint_dir"),
        ({"port": 70000}, "port is 70000"),
        ({"summary": "/"}, "summary is '/': that is a folder"),
        ({"summary": "/no/such/s.json"}, "summary is '/no/such/s.json': there is no /no"),
        ({"address": "nowhere"}, "address is 'nowhere'"),
        ({"checkpoint_every": "often"}, "checkpoint_every is 'often'"),
        ({"checkpoint_every": "0 steps"}, "must be more than zero"),
        ({"partitioner": "half"}, "partitioner is 'half'"),
        ({"on_bad_batch": "cry"}, "on_bad_batch is 'cry'"),
        ({"push_timeout_s": 0}, "push_timeout_s is 0"),
        ({"gpus_per_worker": 1}, "gpus_per_worker needs workers"),
        ({"lerning_rate": 1}, "the script has an unknown option 'lerning_rate'"),
        ({"batchsize": 1}, "did you mean batch_size"),
    ],
)
def test_wrong_values_are_named(values, text):
    with pytest.raises(InvalidArgumentError, match=text):
        resolve(values, environment={})


def test_the_largest_seed_and_whole_numbers_of_other_types():
    found = resolve({"seed": 2**63 - 1, "epochs": 2.0, "batch_size": np.int32(4)}, environment={})
    assert (found.seed, found.epochs, found.batch_size) == (2**63 - 1, 2, 4)
    assert all(type(value) is int for value in (found.epochs, found.batch_size))


def test_who_gave_a_wrong_option_decides_the_kind_of_error():
    with pytest.raises(OptionError):
        resolve({"mode": "async"}, environment={}, command_line={"mode": "x"})
    with pytest.raises(InvalidArgumentError) as caught:
        resolve({"mode": "x"}, environment={}, command_line={"epochs": 2})
    assert not isinstance(caught.value, OptionError)


def test_overriding_tells_what_came_of_the_options():
    with overriding({"epochs": 2}) as uses:
        assert (uses.resolved, uses.begun) == (0, 0)
        resolve({}, environment={})
        with overriding() as inner:
            config.job_begins()
        config.job_begins()
    assert (uses.resolved, uses.begun, inner.begun) == (1, 1, 1)


def test_a_variable_near_an_option_is_warned_of_once(caplog):
    environment = {
        "SHARDTAPE_EPOCHES": "1",
        "SHARDTAPE_PEERS_PYTHON": "python",
        "SHARDTAPE_PORT_8265_TCP_ADDR": "10.0.0.1",
        "SHARDTAPE_HEAD_PORT": "tcp://10.0.0.1:8265",
        "OTHER_EPOCHES": "1",
    }
    for _ in range(2):
        resolve({}, environment=environment)
    (record,) = caplog.records
    assert record.getMessage() == (
        "warning: SHARDTAPE_EPOCHES is set, but there is no such option; "
        "did you mean SHARDTAPE_EPOCHS?"
    )


def test_errors_say_where_a_value_came_from():
    with pytest.raises(InvalidArgumentError, match="epochs is 'x'.*from the environment"):
        resolve({}, environment={"SHARDTAPE_EPOCHS": "x"})


def test_options_that_clash_name_the_source_of_each():
    def fault(*layers):
        with pytest.raises(OptionError) as caught:
            resolve(*layers)
        return caught.value.message

    assert fault({"mode": "sync"}, {}, {}, {"staleness": 2}) == (
        "staleness is 2 but mode is 'sync': it belongs to mode 'ssp' "
        "(staleness from the command line, mode from the script)"
    )
    assert fault({}, {}, {}, {"staleness": 2}).endswith(
        "(staleness from the command line, mode is the default)"
    )
    both = fault({"staleness": 1}, {}, {}, {"staleness": 2, "mode": "sync"})
    assert both.endswith("(from the command line)"), "given together, by the same person"
    assert fault({"workers": 4, "ps": 1, "backup_workers": 3, "mode": "sync"}, {"workers": 2}, {})
    with pytest.raises(InvalidArgumentError) as caught:
        resolve({"mode": "sync", "staleness": 2}, environment={}, command_line={"epochs": 3})
    assert not isinstance(caught.value, OptionError) and "(" not in caught.value.message
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.options) == (caught.value.message, ("staleness", "mode"))


def test_what_belongs_to_another_mode_is_set_aside_where_it_came_earlier(caplog):
    script = {"mode": "ssp", "staleness": 2, "seed": 4}
    found = resolve(script, environment={}, command_line={"mode": "sync"})
    assert (found.mode, found.staleness, found.seed) == ("sync", 0, 4)
    (record,) = caplog.records
    assert record.getMessage() == (
        "note: mode is sync (from the command line): "
        "set aside is staleness=2 from the script (mode ssp)"
    )
    caplog.clear()
    script = {"mode": "sync", "round_batches": 8, "backup_workers": 1, "ps": 1, "workers": 2}
    found = resolve(script, {"mode": "ssp", "staleness": 3}, {})
    assert (found.staleness, found.round_batches, found.backup_workers) == (3, None, 0)
    (record,) = caplog.records
    assert "round_batches=8 from the script" in record.getMessage()
    assert "backup_workers=1 from the script" in record.getMessage()
    caplog.clear()
    resolve({"mode": "ssp", "staleness": 0}, environment={"SHARDTAPE_MODE": "async"})
    assert not caplog.records, "nothing was lost"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch", Interval(1, "epoch")),
        ("2 epochs", Interval(2, "epoch")),
        ("500 steps", Interval(500, "step")),
        (500, Interval(500, "step")),
        ("30s", Interval(30, "second")),
        ("1.5 minutes", Interval(90, "second")),
        ("never", None),
        (None, None),
    ],
)
def test_intervals(text, expected):
    assert config.parse_interval(text) == expected


def test_files(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("batch-size: 7\nmode: sync\n")
    assert config.read_file(path) == {"batch_size": 7, "mode": "sync"}
    path.write_text("")
    assert config.read_file(path) == {}
    path.write_text("- 1\n")
    with pytest.raises(InvalidArgumentError, match="not a list"):
        config.read_file(path)
    path.write_text("a: [1\n")
    with pytest.raises(InvalidArgumentError, match="(?s)job.yaml.*line"):
        config.read_file(path)
    with pytest.raises(NotFoundError, match="no.yaml"):
        config.read_file(tmp_path / "no.yaml")


def test_plain_values_read_back():
    found = resolve({"checkpoint_every": "30 s", "job": "my job!"}, environment={})
    assert found.job == "my-job-"
    assert JobConfig(**found.to_dict()).validate() == found
    assert set(config.option_help()) == set(config.option_names())
