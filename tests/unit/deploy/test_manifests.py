"""The rendered manifests: against the schemas that can be had here, and field by field.

Pods, ConfigMaps and claims are checked against Kubernetes' own schemas (package
kubernetes-validate). KubeRay's custom resources have no schema in any package, so their fields
are checked against the list of its API reference (ray.io/v1), and Ray's own reader of a
RayCluster, which its autoscaler uses, has to accept them. Ray's launcher configuration is
checked with the schema that Ray ships.
"""

import json
import os
import re
import shlex
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from shardtape.deploy import manifests
from shardtape.deploy.manifests import Job
from shardtape.errors import InvalidArgumentError, NotFoundError

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = "1.31"
CLUSTER_FIELDS = {
    *("rayVersion", "headGroupSpec", "workerGroupSpecs", "enableInTreeAutoscaling"),
    *("autoscalerOptions", "headServiceAnnotations", "suspend", "managedBy"),
    *("gcsFaultToleranceOptions", "authOptions"),
}
HEAD_FIELDS = {
    *("rayStartParams", "template", "serviceType", "headService", "enableIngress", "resources"),
    "labels",
}
GROUP_FIELDS = {
    *("groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams"),
    *("template", "scaleStrategy", "suspend", "idleTimeoutSeconds", "resources", "labels"),
}
JOB_FIELDS = {
    *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate"),
    *("metadata", "clusterSelector", "submitterConfig", "managedBy", "deletionStrategy"),
    *("entrypoint", "runtimeEnvYAML", "jobId", "submissionMode", "entrypointResources"),
    *("entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished"),
    *("shutdownAfterJobFinishes", "suspend"),
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "digits_mlp.py"
    path.write_text('print("quotes: \' \\" and a colon: # @{name} $HOME")\n\tx = 1\r\n')
    return path


def specs(rendered: dict[str, str]) -> list[dict]:
    job = yaml.safe_load(rendered["rayjob.yaml"])
    cluster = yaml.safe_load(rendered["raycluster.yaml"])
    return [job["spec"]["rayClusterSpec"], cluster["spec"]]


def groups(spec: dict) -> list[dict]:
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def test_plain_kubernetes_objects_follow_their_schemas(script: Path) -> None:
    rendered = manifests.kubernetes(Job(script, gpus_per_worker=1))
    for name in ("script.yaml", "storage.yaml"):
        kubernetes_validate.validate(yaml.safe_load(rendered[name]), KUBERNETES, strict=True)
    for spec in specs(rendered):
        for group in groups(spec):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "one", **group["template"].get("metadata", {})},
                "spec": group["template"]["spec"],
            }
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_schema_check_sees_an_unknown_field(script: Path) -> None:
    claim = yaml.safe_load(manifests.kubernetes(Job(script))["storage.yaml"])
    claim["spec"]["accessMode"] = "ReadWriteMany"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(claim, KUBERNETES, strict=True)


def test_custom_resources_have_documented_fields_only(script: Path) -> None:
    rendered = manifests.kubernetes(Job(script))
    job = yaml.safe_load(rendered["rayjob.yaml"])
    cluster = yaml.safe_load(rendered["raycluster.yaml"])
    for resource, kind in ((job, "RayJob"), (cluster, "RayCluster")):
        assert set(resource) == {"apiVersion", "kind", "metadata", "spec"}
        assert (resource["apiVersion"], resource["kind"]) == ("ray.io/v1", kind)
    assert set(job["spec"]) <= JOB_FIELDS
    for spec in specs(rendered):
        assert set(spec) <= CLUSTER_FIELDS
        assert set(spec["headGroupSpec"]) <= HEAD_FIELDS
        for group in spec["workerGroupSpecs"]:
            assert set(group) <= GROUP_FIELDS
        for group in groups(spec):
            # required, and text only: KubeRay makes `ray start --key=value` of them
            assert all(isinstance(v, str) for v in group["rayStartParams"].values())
            assert group["template"]["spec"]["containers"][0]["name"]


def test_both_manifests_describe_the_same_cluster(script: Path) -> None:
    first, second = specs(manifests.kubernetes(Job(script, ps=3, workers=5)))
    assert first == second


def test_ray_reads_the_cluster(script: Path) -> None:
    reader = pytest.importorskip("ray.autoscaler._private.kuberay.autoscaling_config")
    job = Job(script, ps=3, workers=5, gpus_per_worker=2, cpus_per_worker=4)
    cluster = yaml.safe_load(manifests.kubernetes(job)["raycluster.yaml"])
    types = reader._derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert types["shards"]["min_workers"] == types["shards"]["max_workers"] == 3
    assert types["shards"]["resources"]["CPU"] == 0
    assert types["workers"]["min_workers"] == 5
    assert types["workers"]["resources"]["CPU"] == 4
    assert types["workers"]["resources"]["GPU"] == 2


def test_sizes_arrive_in_pods_and_command(script: Path) -> None:
    job = Job(script, ps=3, workers=5, gpus_per_worker=2, memory_gib_per_worker=9, image="a.b/c:1")
    rendered = manifests.kubernetes(job)
    spec = specs(rendered)[0]
    images = {c["image"] for g in groups(spec) for c in g["template"]["spec"]["containers"]}
    assert images == {"a.b/c:1"}
    shards, workers = spec["workerGroupSpecs"]
    assert (shards["replicas"], workers["replicas"]) == (3, 5)
    limits = workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "2", "memory": "9Gi", "nvidia.com/gpu": "2"}
    assert "nvidia.com/gpu" not in json.dumps(shards)
    words = shlex.split(yaml.safe_load(rendered["rayjob.yaml"])["spec"]["entrypoint"])
    assert words[:3] == ["shardtape", "train", "/home/ray/job/digits_mlp.py"]
    assert words[words.index("--ps") + 1] == "3"
    assert words[words.index("--workers") + 1] == "5"
    assert words[words.index("--gpus-per-worker") + 1] == "2"


def test_workers_with_gpus_get_the_image_with_cuda(script: Path) -> None:
    instructions = (ROOT / "deploy" / "Dockerfile.gpu").read_text()
    (with_cuda,) = set(re.findall(r"-t (\S+)", instructions))
    for gpus, expected in ((0, with_cuda.removesuffix("-gpu")), (1, with_cuda)):
        job = Job(script, gpus_per_worker=gpus)
        head, shards, workers = (
            group["template"]["spec"]["containers"][0]["image"]
            for group in groups(specs(manifests.kubernetes(job))[0])
        )
        assert (head, shards, workers) == (*2 * [with_cuda.removesuffix("-gpu")], expected)
        launcher = yaml.safe_load(manifests.ray(job, ["a"])["ray-cluster.yaml"])
        assert launcher["docker"]["image"] == expected


def test_the_command_is_one_that_train_understands(script: Path) -> None:
    from shardtape.workers.config import option_names

    job = Job(script, arguments=("--mode", "sync", "--job", "two words; rm -rf /"))
    words = shlex.split(job.command("/home/ray/job", "/storage"))
    options = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
    assert options <= set(option_names())
    assert words[-1] == "two words; rm -rf /"


def test_script_text_survives_the_config_map(script: Path) -> None:
    held = yaml.safe_load(manifests.kubernetes(Job(script))["script.yaml"])["data"]
    assert held == {"digits_mlp.py": script.read_bytes().decode()}


def test_pods_are_not_privileged_and_share_the_storage(script: Path) -> None:
    for spec in specs(manifests.kubernetes(Job(script), claim="mine")):
        for group in groups(spec):
            pod = group["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            container = pod["containers"][0]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
            assert mounts["storage"] == "/storage"
            assert mounts["shared-memory"] == "/dev/shm"
            volumes = {v["name"]: v for v in pod["volumes"]}
            assert set(mounts) == set(volumes)
            assert volumes["storage"]["persistentVolumeClaim"]["claimName"] == "mine"


def test_no_claim_is_made_where_one_is_named(script: Path) -> None:
    assert "storage.yaml" not in manifests.kubernetes(Job(script), claim="mine")


def test_launcher_configuration_follows_rays_schema(script: Path) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    rendered = manifests.ray(Job(script, gpus_per_worker=1), ["10.0.0.1", "10.0.0.2"])
    config = yaml.safe_load(rendered["ray-cluster.yaml"])
    schema = json.loads((files("ray.autoscaler") / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)
    validate_config(prepare_config(config))
    assert config["provider"]["worker_ips"] == ["10.0.0.2"]
    assert "--gpus all" in config["docker"]["run_options"]


def test_launcher_needs_no_second_machine(script: Path) -> None:
    rendered = manifests.ray(Job(script), ["10.0.0.1"])
    config = yaml.safe_load(rendered["ray-cluster.yaml"])
    assert config["provider"]["worker_ips"] == []
    assert config["max_workers"] == 0
    assert not any("gpus" in option for option in config["docker"]["run_options"])


def test_run_script_is_valid_shell_with_one_command(script: Path, tmp_path: Path) -> None:
    rendered = manifests.ray(Job(script, arguments=("--job", "it's")), ["10.0.0.1"])
    written = manifests.write(rendered, tmp_path / "out")
    run = tmp_path / "out" / "run.sh"
    assert run in written and os.access(run, os.X_OK)
    subprocess.run(["bash", "-n", run], check=True, timeout=10)
    last = shlex.split(rendered["run.sh"].splitlines()[-1])
    assert last[:3] == ["ray", "exec", "ray-cluster.yaml"]
    assert shlex.split(last[3])[-1] == "it's"


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"ps": 0}, "ps"),
        ({"workers": 0}, "workers"),
        ({"gpus_per_worker": -1}, "gpus_per_worker"),
        ({"memory_gib_per_ps": 0}, "memory_gib_per_ps"),
        ({"name": "Not_A_Label"}, "Not_A_Label"),
        ({"name": "x" * 41}, "40"),
        ({"image": "two words"}, "two words"),
        ({"image": 'a"\nb'}, "image"),
    ],
)
def test_a_wrong_size_is_named(script: Path, change: dict, culprit: str) -> None:
    with pytest.raises(InvalidArgumentError, match=culprit):
        Job(script, **change)


def test_other_wrong_input_is_named(script: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere.py"):
        Job(tmp_path / "nowhere.py")
    with pytest.raises(InvalidArgumentError, match="namespace"):
        manifests.kubernetes(Job(script), namespace="No Such")
    with pytest.raises(InvalidArgumentError, match="no hosts"):
        manifests.ray(Job(script), [])
    with pytest.raises(InvalidArgumentError, match="twice"):
        manifests.ray(Job(script), ["a", "a"])
    with pytest.raises(InvalidArgumentError, match="host name"):
        manifests.ray(Job(script), ["a; rm"])
    big = tmp_path / "big.py"
    big.write_text("#" * (manifests.SCRIPT_LIMIT_BYTES + 1))
    with pytest.raises(InvalidArgumentError, match="ConfigMap"):
        manifests.kubernetes(Job(big))
    odd = tmp_path / "odd name.py"
    odd.write_text("")
    with pytest.raises(InvalidArgumentError, match="ConfigMap key"):
        manifests.kubernetes(Job(odd))
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        manifests.kubernetes(Job(binary))
