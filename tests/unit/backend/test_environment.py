"""Environment of computing processes: what is set, and that the user's settings win."""

import os
import subprocess
import sys

import pytest

from shardtape.backend import environment

ZEN5 = "avx2 fma avx512f avx512dq avx512bw avx512vl avx512cd"


def cpuinfo(tmp_path, vendor="AuthenticAMD", family=26, flags=ZEN5):
    path = tmp_path / "cpuinfo"
    core = f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel name\t: Some\nflags\t: {flags}\n"
    path.write_text(f"processor\t: 0\n{core}\nprocessor\t: 1\nvendor_id\t: Other\n")
    return environment.cpu_facts(str(path))


@pytest.mark.parametrize(
    "changes, kernel",
    [
        ({}, "SkylakeX"),
        ({"family": 25}, None),  # Zen 4: OpenBLAS knows it
        ({"vendor": "GenuineIntel", "family": 6}, None),
        ({"flags": "avx2 fma avx512f avx512dq"}, None),
    ],
)
def test_kernel_is_named_only_where_detection_is_a_guess(tmp_path, changes, kernel):
    assert environment.blas_kernel(cpuinfo(tmp_path, **changes)) == kernel


def test_first_core_counts_and_a_missing_file_is_no_error(tmp_path):
    facts = cpuinfo(tmp_path)
    assert facts[:3] == ("AuthenticAMD", 26, "Some")
    nothing = environment.cpu_facts(str(tmp_path / "absent"))
    assert nothing == ("", -1, "", frozenset())
    assert environment.blas_kernel(nothing) is None


def test_threads_and_thresholds(monkeypatch):
    monkeypatch.setattr(environment, "blas_kernel", lambda: "SkylakeX")
    made = environment.process_environment(3, base={})
    assert made == {
        "MALLOC_MMAP_THRESHOLD_": "2000000000",
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
        "OPENBLAS_CORETYPE": "SkylakeX",
        "OPENBLAS_NUM_THREADS": "3",
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
    }


def test_what_the_user_set_wins(monkeypatch):
    monkeypatch.setattr(environment, "blas_kernel", lambda: "SkylakeX")
    user = {"OMP_NUM_THREADS": "5", "OPENBLAS_CORETYPE": "Haswell", "MALLOC_TRIM_THRESHOLD_": "7"}
    made = environment.process_environment(1, base=user)
    assert made["OPENBLAS_NUM_THREADS"] == made["OMP_NUM_THREADS"] == "5"
    assert made["OPENBLAS_CORETYPE"] == "Haswell"
    assert made["MALLOC_TRIM_THRESHOLD_"] == "7"


def test_no_kernel_is_named_when_there_is_no_need(monkeypatch):
    monkeypatch.setattr(environment, "blas_kernel", lambda: None)
    assert "OPENBLAS_CORETYPE" not in environment.process_environment(1, base={})


def test_zero_threads_are_refused():
    with pytest.raises(ValueError, match="at least 1 thread, got 0"):
        environment.process_environment(0)


def run(code, **variables):
    """Runs `code` with the module loaded by its path: the package applies the settings itself."""
    load = (
        "import importlib.util, os, sys\n"
        f"spec = importlib.util.spec_from_file_location('environment', {environment.__file__!r})\n"
        "environment = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(environment)\n"
    )
    return run_plain(load + code, **variables)


def run_plain(code, **variables):
    """Runs `code` in a fresh interpreter whose environment has none of the module's variables."""
    ours = environment.process_environment(1, base={}).keys() | {"OPENBLAS_CORETYPE"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_apply_before_numpy_and_after():
    code = "environment.blas_kernel = lambda: 'SkylakeX'\n"
    show = "print(sorted(environment.apply_to_this_process()), os.environ.get('OPENBLAS_CORETYPE'))"
    made = "['MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'OPENBLAS_CORETYPE'] SkylakeX"
    assert run(code + show) == made
    made = "['MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'] None"
    assert run("import numpy\n" + code + show) == made, "the kernel is chosen by then"
    left = run(code + show, OPENBLAS_CORETYPE="Haswell", MALLOC_MMAP_THRESHOLD_="200000")
    assert left == "[] Haswell"


def test_environment_does_not_import_numpy():
    assert run("environment.process_environment(1); print('numpy' in sys.modules)") == "False"


def test_describe_warns_of_a_slow_kernel_and_of_too_many_threads(monkeypatch, tmp_path):
    facts = cpuinfo(tmp_path)
    monkeypatch.setattr(environment, "cpu_facts", lambda: facts)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    seen = environment.describe()
    assert seen["avx512"] is True and seen["blas_kernel"] == "Haswell"
    assert seen["variables"]["OMP_NUM_THREADS"] == "4096"
    slow, threads = seen["advice"]
    assert "OPENBLAS_CORETYPE=Haswell" in slow and "OMP_NUM_THREADS=4096" in threads


def test_importing_the_package_comes_before_numpy():
    shown = run_plain("import os, shardtape; print(os.environ.get('OPENBLAS_CORETYPE'))")
    assert shown == str(environment.blas_kernel())
