"""The `shardtape` command.

Modules that are slow to load are imported inside the commands that need them, so that
`shardtape --help` answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shardtape.errors import InvalidArgumentError, NotFoundError, OpError

if TYPE_CHECKING:
    from shardtape.deploy.doctor import Finding
    from shardtape.deploy.manifests import Job

FAILED = 1
MISUSED = 2  # as the parser of the command line has it
# what a shell reports for programs that these ended
INTERRUPTED, TERMINATED = 130, 143
_SAID_AT_THE_END = {INTERRUPTED: "interrupted", TERMINATED: "ended by SIGTERM"}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Parameter-server training that speaks TensorFlow.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"shardtape {importlib.metadata.version('shardtape')}")
        raise typer.Exit


@app.callback()
def _options_of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="print the version; `shardtape version` says more",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    del version


deploy_app = typer.Typer(no_args_is_help=True, help="Render what brings a script onto a cluster.")
app.add_typer(deploy_app, name="deploy")

# How the help of `train` groups the options of a job.
_PANELS = {
    "The job": ("job", "config", "epochs", "batch_size", "eval_batch_size", "evaluate_every")
    + ("shuffle", "splits", "seed", "on_bad_batch", "bad_batch_workers", "nan"),
    "Parameter server": ("ps", "workers", "mode", "staleness", "round_batches")
    + ("round_reduction", "backup_workers", "partitioner"),
    "Output": ("logdir", "log_every", "checkpoint_dir", "checkpoint_every", "keep_checkpoints")
    + ("resume", "summary", "progress"),
}
_OTHER_PANEL = "Cluster and limits"


def _configuration_parameters() -> list[inspect.Parameter]:
    """One command-line option for each option of a job; nothing given means not overridden."""
    from shardtape.workers.config import JobConfig

    panels = {name: panel for panel, names in _PANELS.items() for name in names}
    kinds: dict[str, Any] = {"int": int, "float": float, "bool": bool}
    parameters = []
    for option in dataclasses.fields(JobConfig):
        kind = kinds.get(str(option.type).split(" ")[0], str)
        flag = "--" + option.name.replace("_", "-")
        if kind is bool:
            flag = f"{flag}/--no-{flag[2:]}"
        shown = typer.Option(
            flag,
            help=option.metadata["help"],
            rich_help_panel=panels.get(option.name, _OTHER_PANEL),
            show_default=False,
        )
        parameters.append(
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, shown],
            )
        )
    return parameters


def _with_configuration(command: Callable[..., None]) -> Callable[..., None]:
    """Gives the command the options of a job in place of its `**options`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters = [*own, *_configuration_parameters()]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


@app.command()
@_with_configuration
def train(
    script: Annotated[Path, typer.Argument(help="program that makes a shardtape.Trainer")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="what the script finds in sys.argv, after --")
    ] = None,
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file with these options", rich_help_panel="The job"),
    ] = None,
    **options: Any,
) -> None:
    """Run a training script; what is given here wins over what the script says.

    Command line over environment (SHARDTAPE_BATCH_SIZE=64) over --config over the script.
    """
    from shardtape.deploy.run_script import UsageError, run_script
    from shardtape.workers.config import overriding, read_file

    try:
        try:
            file = {} if config is None else read_file(config)
        except OpError as error:
            raise UsageError(error.message) from error
        with overriding(command_line=options, file=file) as uses:
            run_script(script, arguments or [], uses)
    except UsageError as error:
        raise _misused(error.message) from error


def _misused(text: str) -> typer.Exit:
    _say_error(text)
    return typer.Exit(MISUSED)


def _say_error(text: str) -> None:
    typer.secho(f"error: {text}", fg=typer.colors.RED, err=True)


@app.command("inspect")
def inspect_checkpoint(
    checkpoint: Annotated[str, typer.Argument(help="a checkpoint, or a directory of them")],
    verify: Annotated[
        bool, typer.Option("--verify", help="read everything and compare the digests")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
) -> None:
    """List the tensors of a checkpoint; of a directory, the newest whole one's."""
    from shardtape.deploy.inspection import show

    with _misuse():
        show(checkpoint, verify=verify, as_json=as_json)


@app.command()
def doctor(
    skip: Annotated[
        list[str] | None, typer.Option(help="a check to leave out; may be given again")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Check this machine and say how to mend what fails."""
    from shardtape.deploy import doctor as checks

    unknown = set(skip or ()) - set(checks.CHECKS)
    if unknown:
        names = ", ".join(checks.CHECKS)
        raise typer.BadParameter(f"no check {', '.join(sorted(unknown))}; there are {names}")
    findings = checks.examine(skip or ())
    if as_json:
        report = list(findings)
        typer.echo(checks.to_json(report))
    else:
        report = _print_findings(findings)
    if any(finding.status == "fail" for finding in report):
        raise typer.Exit(FAILED)


def _print_findings(findings: Iterable[Finding]) -> list[Finding]:
    """One line each as they come, with the mend below where there is one."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    report = []
    for finding in findings:
        line = Text.assemble(
            (f"{finding.status:5}", styles[finding.status]), f"{finding.name:14} {finding.found}"
        )
        console.print(line)
        if finding.mend:
            console.print(Text(f"{'':20}-> {finding.mend}", style=styles[finding.status]))
        report.append(finding)
    counts = {status: sum(f.status == status for f in report) for status in styles}
    console.print(f"{counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failures")
    return report


def _job(script: Path, given: dict[str, Any], arguments: list[str] | None) -> Job:
    from shardtape.deploy.manifests import Job
    from shardtape.deploy.train_arguments import check_train_arguments

    chosen = {name: value for name, value in given.items() if value is not None}
    job = Job(script=script, arguments=tuple(arguments or ()), **chosen)
    parser: Any = typer.main.get_command(app)
    check_train_arguments(parser.commands["train"], str(script), job.arguments, job.options)
    return job


@contextlib.contextmanager
def _misuse() -> Iterator[None]:
    """A script or a checkpoint that is not there, a size or a name that cannot be: status 2."""
    try:
        yield
    except (InvalidArgumentError, NotFoundError) as error:
        raise _misused(error.message) from error


_Script = Annotated[Path, typer.Argument(help="the training script")]
_Arguments = Annotated[
    list[str] | None, typer.Argument(help="more options for `shardtape train`, after --")
]
_Ps = Annotated[int, typer.Option(help="shards of the parameter server")]
_Workers = Annotated[int, typer.Option(help="worker processes")]
_Gpus = Annotated[int, typer.Option(help="GPUs of each worker")]
_Cpus = Annotated[int, typer.Option(help="cores of each worker")]
_Memory = Annotated[int, typer.Option(help="memory of each worker, in GiB")]
_Image = Annotated[
    str | None,
    typer.Option(help="container image; shardtape:VERSION, with -gpu where GPUs are asked for"),
]
_Name = Annotated[str | None, typer.Option(help="name of the job; from the script's")]
_Out = Annotated[Path, typer.Option(help="directory for the files")]


@deploy_app.command("kubernetes")
def deploy_kubernetes(
    script: _Script,
    arguments: _Arguments = None,
    *,
    ps: _Ps = 2,
    workers: _Workers = 2,
    gpus_per_worker: _Gpus = 0,
    cpus_per_worker: _Cpus = 2,
    memory_gib_per_worker: _Memory = 4,
    cpus_per_ps: Annotated[int, typer.Option(help="cores of each shard")] = 1,
    memory_gib_per_ps: Annotated[int, typer.Option(help="memory of each shard, in GiB")] = 4,
    image: _Image = None,
    name: _Name = None,
    namespace: Annotated[str, typer.Option(help="Kubernetes namespace")] = "default",
    claim: Annotated[
        str, typer.Option(help="existing ReadWriteMany claim; one is made if not given")
    ] = "",
    storage_gib: Annotated[int, typer.Option(help="size of the claim that is made")] = 20,
    out: _Out = Path("deploy-out"),
) -> None:
    """Manifests for KubeRay: a RayJob, and a RayCluster of the same sizes."""
    from shardtape.deploy import manifests

    sizes = {
        "ps": ps,
        "workers": workers,
        "gpus_per_worker": gpus_per_worker,
        "cpus_per_worker": cpus_per_worker,
        "memory_gib_per_worker": memory_gib_per_worker,
        "cpus_per_ps": cpus_per_ps,
        "memory_gib_per_ps": memory_gib_per_ps,
    }
    with _misuse():
        job = _job(script, {**sizes, "image": image, "name": name}, arguments)
        files = manifests.kubernetes(job, namespace=namespace, claim=claim, storage_gib=storage_gib)
    written = manifests.write(files, out)
    _say_written(written)
    first = [path for path in written if path.name in ("storage.yaml", "script.yaml")]
    applied = " ".join(f"-f {path}" for path in [*first, out / "rayjob.yaml"])
    typer.echo(f"next: kubectl apply {applied}")


@deploy_app.command("ray")
def deploy_ray(
    script: _Script,
    arguments: _Arguments = None,
    *,
    hosts: Annotated[
        str, typer.Option(help="machines reached by ssh, with commas; the first is the head")
    ] = "",
    ps: _Ps = 2,
    workers: _Workers = 2,
    gpus_per_worker: _Gpus = 0,
    cpus_per_worker: _Cpus = 2,
    memory_gib_per_worker: _Memory = 4,
    image: _Image = None,
    name: _Name = None,
    ssh_user: Annotated[str, typer.Option(help="user on the machines")] = "ubuntu",
    storage: Annotated[
        str, typer.Option(help="directory shared by all machines")
    ] = "/mnt/shardtape",
    out: _Out = Path("deploy-out"),
) -> None:
    """A configuration for Ray's cluster launcher, on machines reached by ssh."""
    from shardtape.deploy import manifests

    sizes = {
        "ps": ps,
        "workers": workers,
        "gpus_per_worker": gpus_per_worker,
        "cpus_per_worker": cpus_per_worker,
        "memory_gib_per_worker": memory_gib_per_worker,
    }
    addresses = [host.strip() for host in hosts.split(",") if host.strip()]
    if not addresses:
        raise _misused(
            "--hosts is missing: name the machines that ssh reaches, the head first, for example "
            "--hosts 10.0.0.1,10.0.0.2"
        )
    with _misuse():
        job = _job(script, {**sizes, "image": image, "name": name}, arguments)
        files = manifests.ray(job, addresses, ssh_user=ssh_user, storage=storage)
    _say_written(manifests.write(files, out))
    typer.echo(f"next: ray up {out / 'ray-cluster.yaml'} && {out / 'run.sh'}")


def _say_written(paths: list[Path]) -> None:
    for path in paths:
        typer.echo(f"wrote {path}")


@app.command()
def version() -> None:
    """Versions of Shardtape and of what it stands on."""
    import importlib.metadata

    typer.echo(f"shardtape {importlib.metadata.version('shardtape')}")
    typer.echo(f"python {'.'.join(map(str, sys.version_info[:3]))}")
    for name in ("ray", "numpy", "grpcio", "protobuf", "tensorboard"):
        typer.echo(f"{name} {importlib.metadata.version(name)}")


def main() -> None:
    """Entry point: errors of Shardtape's own become one readable message and status 1 or 2."""
    try:
        app()
    except OpError as error:
        _say_error(error.message)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        typer.echo(_SAID_AT_THE_END[INTERRUPTED], err=True)
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code in _SAID_AT_THE_END:
            typer.echo(_SAID_AT_THE_END[end.code], err=True)
        raise


if __name__ == "__main__":
    main()
