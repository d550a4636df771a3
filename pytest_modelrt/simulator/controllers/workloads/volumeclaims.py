"""PersistentVolumeClaim: default class, binding once a pod that mounts it has a node, protection while in use."""

from __future__ import annotations

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting
from pytest_modelrt.simulator.informer import Key, key_of
from pytest_modelrt.simulator.nodes.claims import claims_of
from pytest_modelrt.simulator.resources import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from pytest_modelrt.simulator.workqueue import WorkQueue

PROTECTION = "kubernetes.io/pvc-protection"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_INDEX = "claim"
_WAITING = "waiting for first consumer to be created before binding"


class VolumeClaimController:
    """Gives claims of classes with delayed binding a made-up volume; other claims are left alone."""

    def __init__(self, platform: Platform) -> None:
        self._client = platform.client.as_component("persistentvolume-controller")
        self._events = platform.events("persistentvolume-controller")
        self._claims = platform.informers.of(CLAIMS)
        self._classes = platform.informers.of(STORAGE_CLASSES)
        self._pods = platform.informers.of(PODS)
        if not self._pods.has_index(_INDEX):
            self._pods.add_index(_INDEX, claims_of)
        self._queue: WorkQueue[Key] = WorkQueue("persistentvolume", self._reconcile, platform.clock)
        self._claims.on_change(lambda _kind, claim, _old: self._queue.add(key_of(claim)))
        self._classes.on_change(lambda *_: self._all())
        self._pods.on_change(self._on_pod)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self._queue.run()

    def _all(self) -> None:
        for key in self._claims.cache:
            self._queue.add(key)

    def _on_pod(self, _kind: str, pod: Object, _old: Object | None) -> None:
        for key in claims_of(pod):
            self._queue.add(key)

    async def _reconcile(self, key: Key) -> None:
        claim = self._claims.cache.get(key)
        if claim is None:
            return
        users = [pod for pod in self._pods.indexed(_INDEX, key) if _holds(pod)]
        finalizers = claim["metadata"].get("finalizers") or []
        if is_deleting(claim):
            if not users and PROTECTION in finalizers:
                await self._release(claim, [entry for entry in finalizers if entry != PROTECTION])
            return
        change: Object = {}
        if PROTECTION not in finalizers:
            change["metadata"] = {"finalizers": [*finalizers, PROTECTION]}
        storage_class = self._class_of(claim)
        if storage_class is not None and "storageClassName" not in claim["spec"]:
            change["spec"] = {"storageClassName": storage_class["metadata"]["name"]}
        if change:
            claim = await self._client.patch(CLAIMS, key[1], change, key[0])
        if storage_class is None or (claim.get("status") or {}).get("phase") == "Bound":
            return
        if storage_class.get("volumeBindingMode") != "WaitForFirstConsumer" or any(
            pod["spec"].get("nodeName") for pod in users
        ):
            await self._bind(claim, storage_class)
        elif not users:
            await self._events.record({**claim, **_TYPE}, "Normal", "WaitForFirstConsumer", _WAITING)

    def _class_of(self, claim: Object) -> Object | None:
        """The claim's class, or the default one; none for a claim that wants no class (empty name)."""
        name = claim["spec"].get("storageClassName")
        if name is not None:
            return self._classes.get(name)
        for candidate in self._classes.cache.values():
            if (candidate["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true":
                return candidate
        return None

    async def _bind(self, claim: Object, storage_class: Object) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        name = f"pvc-{metadata['uid']}"
        capacity = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
        reference = {**_TYPE, "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        volume = {
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": capacity},
                "accessModes": spec.get("accessModes") or [],
                "claimRef": reference,
                "storageClassName": storage_class["metadata"]["name"],
                "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
                "hostPath": {"path": f"/var/local-path-provisioner/{name}"},
            },
        }
        try:
            await self._client.create(VOLUMES, volume)
        except ApiStatusError as error:
            if error.reason != "AlreadyExists":
                raise
        await self._client.patch_status(VOLUMES, name, {"phase": "Bound"})
        await self._client.patch(CLAIMS, metadata["name"], {"spec": {"volumeName": name}}, metadata["namespace"])
        status = {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": {"storage": capacity}}
        await self._client.patch_status(CLAIMS, metadata["name"], status, metadata["namespace"])
        text = f"Successfully provisioned volume {name}"
        await self._events.record({**claim, **_TYPE}, "Normal", "ProvisioningSucceeded", text)

    async def _release(self, claim: Object, finalizers: list[str]) -> None:
        """Nobody uses a claim that is to go: let it, and its volume."""
        metadata = claim["metadata"]
        try:
            patch = {"metadata": {"finalizers": finalizers}}
            await self._client.patch(CLAIMS, metadata["name"], patch, metadata["namespace"])
            if claim["spec"].get("volumeName"):
                await self._client.delete(VOLUMES, claim["spec"]["volumeName"])
        except ApiStatusError as error:
            if not error.not_found:
                raise


_TYPE = {"apiVersion": CLAIMS.api_version, "kind": CLAIMS.kind}


def _holds(pod: Object) -> bool:
    """Whether a pod still needs its claims."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
