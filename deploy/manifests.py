"""Renders the files that bring a training script onto a cluster, from templates with sizes.

`kubernetes` gives KubeRay manifests (a RayJob, and a RayCluster of the same sizes), `ray` gives
a configuration for Ray's cluster launcher. Both are pure: sizes in, texts out.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import re
import shlex
import string
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shardtape import storage
from shardtape.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError

# A ConfigMap holds 1 MiB with all its keys (Kubernetes API limit).
SCRIPT_LIMIT_BYTES = 1_000_000
SCRIPT_DIRECTORY = "/home/ray/job"
STORAGE_DIRECTORY = "/storage"

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/:@]*")
_HOST = re.compile(r"[A-Za-z0-9][-A-Za-z0-9.:]*")
_USER = re.compile(r"[A-Za-z_][-A-Za-z0-9_.]*")
# Names that become part of resource names stay below the 63 characters of a DNS label with
# KubeRay's own suffixes (-xxxxx-head-svc, -worker-workers-xxxxx).
_NAME_LIMIT = 40
_SIZES = (
    "ps",
    "workers",
    "gpus_per_worker",
    "cpus_per_worker",
    "cpus_per_ps",
    "memory_gib_per_worker",
    "memory_gib_per_ps",
)


class _Template(string.Template):
    # `$` belongs to the shell commands in the texts.
    delimiter = "@"


def default_image(gpus: bool = False) -> str:
    """The image name that the instructions in the Dockerfiles give this version."""
    return f"shardtape:{importlib.metadata.version('shardtape')}{'-gpu' if gpus else ''}"


@dataclass(frozen=True)
class Job:
    """One training script with its sizes; every field is checked when it is made.

    Args:
      script: path of the training script.
      ps, workers: shards of the parameter server and worker actors, each at least 1.
      gpus_per_worker, cpus_per_worker, cpus_per_ps: whole numbers.
      memory_gib_per_worker, memory_gib_per_ps: memory of one pod, in GiB.
      image: container image that holds Shardtape and the same Ray version; this version's own if
        it is None, that with CUDA for workers with GPUs.
      name: of the job; from the script's name by default.
      arguments: more arguments for `shardtape train`.

    Raises:
      InvalidArgumentError: a size or a name that a cluster would refuse.
      NotFoundError: there is no such script.
    """

    script: Path
    ps: int = 2
    workers: int = 2
    gpus_per_worker: int = 0
    cpus_per_worker: int = 2
    cpus_per_ps: int = 1
    memory_gib_per_worker: int = 4
    memory_gib_per_ps: int = 4
    image: str | None = None
    name: str = ""
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.script.is_file():
            raise NotFoundError(f"There is no script {self.script}")
        if not self.name:
            stem = re.sub(r"[^a-z0-9]+", "-", self.script.stem.lower()).strip("-")
            object.__setattr__(self, "name", stem[:_NAME_LIMIT].strip("-") or "job")
        for size in _SIZES:
            smallest = 0 if size == "gpus_per_worker" else 1
            if getattr(self, size) < smallest:
                raise InvalidArgumentError(
                    f"{size} must be at least {smallest}, got {getattr(self, size)}"
                )
        if not _DNS_LABEL.fullmatch(self.name) or len(self.name) > _NAME_LIMIT:
            raise InvalidArgumentError(
                f"name {self.name!r} is no DNS label of at most {_NAME_LIMIT} characters: "
                "use lower-case letters, digits and '-'"
            )
        if self.image is not None and not _IMAGE.fullmatch(self.image):
            raise InvalidArgumentError(f"image {self.image!r} is no container image name")

    @property
    def worker_image(self) -> str:
        """The image of pods or machines that workers run on."""
        return self.image or default_image(gpus=self.gpus_per_worker > 0)

    @property
    def options(self) -> dict[str, object]:
        """Options of `shardtape train` that the rendered files fix, by name."""
        return {
            "address": "auto",
            "ps": self.ps,
            "workers": self.workers,
            # All cores of its pod, so that Ray does not put two workers into one.
            "cpus_per_worker": self.cpus_per_worker,
            "gpus_per_worker": self.gpus_per_worker,
        }

    def command(self, script_directory: str, storage_directory: str) -> str:
        """The shell command that trains on the cluster's head."""
        words = ["shardtape", "train", f"{script_directory}/{self.script.name}"]
        for name, value in self.options.items():
            if value:
                words += ["--" + name.replace("_", "-"), str(value)]
        words += ["--logdir", f"{storage_directory}/{self.name}/runs"]
        words += ["--checkpoint-dir", f"{storage_directory}/{self.name}/checkpoints", "--resume"]
        return shlex.join([*words, *self.arguments])


def _render(template: str, fields: dict[str, object]) -> str:
    text = (importlib.resources.files("shardtape.deploy.templates") / template).read_text()
    return _Template(text).substitute(fields)


def _script_text(job: Job) -> str:
    data = job.script.read_bytes()
    if len(data) > SCRIPT_LIMIT_BYTES:
        raise InvalidArgumentError(
            f"{job.script} has {len(data)} bytes, a ConfigMap holds {SCRIPT_LIMIT_BYTES}: "
            "put the code into the image and keep the script short"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{job.script} is not UTF-8 text: {error}") from error


def _shared_memory_gib(memory_gib: int) -> int:
    """A third of the pod's memory, as Ray gives its object store 30 % by default."""
    return max(1, memory_gib // 3)


def kubernetes(
    job: Job, *, namespace: str = "default", claim: str = "", storage_gib: int = 20
) -> dict[str, str]:
    """KubeRay manifests: file name to text.

    Args:
      claim: an existing PersistentVolumeClaim (ReadWriteMany); none: `storage.yaml` makes one.
      storage_gib: size of the claim that is made.
    """
    for what, value in (("namespace", namespace), ("claim", claim or "a")):
        if not _DNS_LABEL.fullmatch(value):
            raise InvalidArgumentError(f"{what} {value!r} is no Kubernetes name")
    if not re.fullmatch(r"[-._a-zA-Z0-9]+", job.script.name):
        raise InvalidArgumentError(
            f"{job.script.name!r} cannot be a ConfigMap key: rename the script to letters, "
            "digits, '-', '_' and '.'"
        )
    command = job.command(SCRIPT_DIRECTORY, STORAGE_DIRECTORY)
    head_memory_gib = 4
    quantity = f'nvidia.com/gpu: "{job.gpus_per_worker}"'
    fields: dict[str, object] = {
        **{name: getattr(job, name) for name in job.__dataclass_fields__},
        "image": job.image or default_image(),
        "worker_image": job.worker_image,
        "ray_version": importlib.metadata.version("ray"),
        "namespace": namespace,
        "claim": claim or f"{job.name}-storage",
        "storage_gib": storage_gib,
        "head_cpus": 2,
        "head_memory_gib": head_memory_gib,
        "head_shared_memory_gib": _shared_memory_gib(head_memory_gib),
        "ps_shared_memory_gib": _shared_memory_gib(job.memory_gib_per_ps),
        "worker_shared_memory_gib": _shared_memory_gib(job.memory_gib_per_worker),
        "gpu_quantity": f"\n{' ' * 16}{quantity}" if job.gpus_per_worker else "",
        "script_directory": SCRIPT_DIRECTORY,
        "storage_directory": STORAGE_DIRECTORY,
        "script_name": job.script.name,
        # A JSON string is a YAML string, whatever quotes and line ends the text has.
        "script_text": json.dumps(_script_text(job)),
        "entrypoint": json.dumps(command),
    }
    spec = _render("cluster-spec.yaml", fields)
    files = {
        "script.yaml": _render("script.yaml", fields),
        "rayjob.yaml": _render(
            "rayjob.yaml", {**fields, "cluster_spec": textwrap.indent(spec, " " * 4)}
        ),
        "raycluster.yaml": _render(
            "raycluster.yaml", {**fields, "cluster_spec": textwrap.indent(spec, " " * 2)}
        ),
    }
    if not claim:
        files["storage.yaml"] = _render("storage.yaml", fields)
    return files


def ray(
    job: Job, hosts: Sequence[str], *, ssh_user: str = "ubuntu", storage: str = "/mnt/shardtape"
) -> dict[str, str]:
    """Configuration for Ray's launcher on machines reached by ssh: file name to text.

    Args:
      hosts: addresses; the first becomes the head.
      storage: a directory that is the same on every machine.
    """
    if not hosts:
        raise InvalidArgumentError("no hosts: name at least one machine, the first is the head")
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise InvalidArgumentError(f"{host!r} is no host name or address")
    if len(set(hosts)) != len(hosts):
        raise InvalidArgumentError(f"a host is named twice: {', '.join(hosts)}")
    if not _USER.fullmatch(ssh_user):
        raise InvalidArgumentError(f"{ssh_user!r} is no user name")
    if not storage.startswith("/"):
        raise InvalidArgumentError(f"storage {storage!r} must be an absolute path")
    command = job.command("/home/ray", STORAGE_DIRECTORY)
    fields: dict[str, object] = {
        "name": job.name,
        "image": job.worker_image,  # the launcher has one for all machines
        "head": json.dumps(hosts[0]),
        "others": json.dumps(list(hosts[1:])),
        "max_workers": len(hosts) - 1,
        "ssh_user": json.dumps(ssh_user),
        "worker_shared_memory_gib": _shared_memory_gib(job.memory_gib_per_worker),
        "volume": json.dumps(f"-v {shlex.quote(storage)}:{STORAGE_DIRECTORY}"),
        "gpu_option": "\n    - --gpus all" if job.gpus_per_worker else "",
        "script_source": shlex.quote(job.script.name),
        "script_target": shlex.quote(f"/home/ray/{job.script.name}"),
        "command_quoted": shlex.quote(command),
    }
    return {
        "ray-cluster.yaml": _render("ray-cluster.yaml", fields),
        "run.sh": _render("run.sh", fields),
        job.script.name: _script_text(job),
    }


def write(files: dict[str, str], directory: Path) -> list[Path]:
    """Writes rendered files (scripts executable); returns their paths in order.

    Raises:
      FailedPreconditionError: the folder cannot be made.
      OpError: a file cannot be written; the text names it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedPreconditionError(
            f"out is {str(directory)!r}: no folder can be made there ({error.strerror})"
        ) from error
    written = []
    for name, text in sorted(files.items()):
        path = directory / name
        with storage.translated("write", path):
            path.write_text(text)
            if name.endswith(".sh"):
                path.chmod(0o755)
        written.append(path)
    return written
