"""How a model's URI gets its files into the pod."""

from __future__ import annotations

from pytest_modelrt.simulator.client import Object

_MOUNT_PATH = "/mnt/models"
_MAIN = "main"
_PVC_VOLUME = "kserve-pvc-source"
_DOWNLOAD_VOLUME = "kserve-provision-location"
_INITIALIZER = "storage-initializer"
INITIALIZER_IMAGE = "kserve/storage-initializer:v0.16.0"


class StorageError(Exception):
    """The URI cannot be served; the text is KServe's."""


def attach_model(uri: str, pod: Object) -> None:
    """Change the pod spec so that the container ``main`` finds the model; any other container gets nothing.

    Raises:
        StorageError: no scheme, or one that is not supported.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        raise StorageError(f"invalid model URI: {uri}")
    if scheme == "pvc":
        claim, _, path = rest.partition("/")
        source = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        _mount(pod, _MAIN, _PVC_VOLUME, source, path, read_only=True)
    elif scheme == "oci":
        raise StorageError("OCI modelcars is not enabled")
    elif scheme in ("hf", "s3"):
        pod.setdefault("initContainers", []).append(
            {
                "name": _INITIALIZER,
                "image": INITIALIZER_IMAGE,
                "args": [uri, _MOUNT_PATH],
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        )
        _mount(pod, _INITIALIZER, _DOWNLOAD_VOLUME, {"emptyDir": {}}, "", read_only=False)
        _mount(pod, _MAIN, _DOWNLOAD_VOLUME, {"emptyDir": {}}, "", read_only=True)
    else:
        raise StorageError(f"unsupported schema in model URI: {uri}")


def _mount(pod: Object, container: str, volume: str, source: Object, path: str, *, read_only: bool) -> None:
    for spec in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        if spec["name"] != container:
            continue
        mount: Object = {"mountPath": _MOUNT_PATH, "name": volume, "readOnly": read_only}
        if path:
            mount["subPath"] = path
        spec.setdefault("volumeMounts", []).append(mount)
        volumes = pod.setdefault("volumes", [])
        if all(entry["name"] != volume for entry in volumes):
            volumes.append({"name": volume, **source})
