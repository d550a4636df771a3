"""The agent of one node: watches models, queues tasks, works them off with a few workers (facts: ome.md, 2.5-2.9)."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.agent.download import (
    ATTEMPTS_SECONDS,
    Download,
    DownloadError,
    refusal,
)
from pytest_modelrt.simulator.controllers.agent.entries import NodeEntries
from pytest_modelrt.simulator.controllers.agent.metadata import ParseError, read_config, spec_changes
from pytest_modelrt.simulator.controllers.agent.scout import Scout, Task
from pytest_modelrt.simulator.controllers.naming import model_key
from pytest_modelrt.simulator.controllers.ome.logs import Log
from pytest_modelrt.simulator.controllers.platform import Platform, run_all
from pytest_modelrt.simulator.informer import Handler
from pytest_modelrt.simulator.nodes.disk import Directory
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.resources import (
    BASE_MODELS,
    CLUSTER_BASE_MODELS,
    CONFIG_MAPS,
    NODES,
    OME_NAMESPACE,
    SECRETS,
    Resource,
)
from pytest_modelrt.simulator.scenario import DownloadScript

_WORKERS = 2
_PROGRESS_EVERY = 30.0
_REPAIR_EVERY = 300.0
_BEFORE_DELETION = 2.0
_START_JITTER = 30
_CHECK_SECONDS = 8.0
"""Cluster seconds to see that every file of a model is there already."""


class Agent:
    """One run of the agent of one node."""

    def __init__(self, platform: Platform, context: ProgramContext, tries: dict[tuple[str, str], int]) -> None:
        self._platform = platform
        self._context = context
        self._clock = platform.clock
        self._client = platform.client.as_component("ome-model-agent")
        self._log = Log("model-agent", context.log)
        self._scout = Scout(platform.profile, lambda: platform.informers.of(NODES).get(context.node))
        self._tries = tries
        self._entries = NodeEntries(self._client, context.node)
        self._tasks: asyncio.Queue[Task] = asyncio.Queue()
        self._downloads: dict[str, Download] = {}
        self._keys: dict[str, str] = {}

    async def run(self, *, settled: bool) -> None:
        """Work until cancelled; ``settled``: the cluster is made as if the agent had been running for long."""
        self._log.info(f"Starting model agent on node {self._context.node}")
        if not settled:
            await self._clock.asleep(start_delay(self._context.node))
        informers = self._platform.informers
        self._entries.adopt(
            informers.of(NODES).get(self._context.node),
            informers.of(CONFIG_MAPS).get(self._context.node, OME_NAMESPACE),
        )
        stops = [
            informers.of(resource).on_change(self._watcher(resource)) for resource in (CLUSTER_BASE_MODELS, BASE_MODELS)
        ]
        try:
            await run_all(*(self._work() for _ in range(_WORKERS)), self._report(), self._repair())
        finally:
            for stop in stops:
                stop()

    def _watcher(self, resource: Resource) -> Handler:
        def watch(event: str, model: Object, old: Object | None) -> None:
            for kind in self._scout.tasks(event, model, old):
                task = Task(kind, resource, model)
                if kind == "Delete" and task.uid in self._downloads:
                    self._log.info(f"Model {task.info} is currently downloading, will cancel it")
                    self._downloads[task.uid].cancelled.set()
                self._tasks.put_nowait(task)

        return watch

    async def _work(self) -> None:
        while True:
            task = await self._tasks.get()
            self._log.info(f"Processing gopher task: {task.info}, type: {task.kind}")
            try:
                if task.kind == "Download":
                    await self._download(task)
                else:
                    await self._delete(task)
            except (ApiStatusError, DownloadError) as error:
                self._log.error(f"Gopher task failed with error: {error}")

    async def _download(self, task: Task) -> None:
        scheme, _, rest = task.model["spec"]["storage"]["storageUri"].partition("://")
        if scheme in ("hf", "oci"):
            await self._fetch(task, rest.partition("@")[0])
            return
        await self._entries.mark(task.model, "Updating")
        if scheme == "pvc":
            self._log.info(f"Skipping PVC storage type for model {task.info} (handled by BaseModel controller)")
        elif scheme == "vendor":
            self._log.info(f"Skipping download for model {task.info}")
            await self._entries.mark(task.model, "Ready")
        elif scheme == "local":
            await self._check_local(task, rest)
        else:
            uri = task.model["spec"]["storage"]["storageUri"]
            self._log.error(f"Failed to get target directory path for model {task.info}: unknown storage type: {uri}")
            await self._entries.mark(task.model, "Failed")

    async def _check_local(self, task: Task, uri_path: str) -> None:
        path = task.model["spec"]["storage"].get("path") or uri_path
        directory = self._context.disk.get(path)
        if directory is None:
            self._log.error(f"Local model path does not exist for model {task.info}: {path}")
            await self._entries.mark(task.model, "Failed")
            return
        await self._finish(task, directory.hub_id, path, Download(self._script(task, directory.hub_id), self._clock))

    async def _fetch(self, task: Task, hub_id: str) -> None:
        script = self._script(task, hub_id)
        if script.queued:
            self._context.scenario.signals.note(task.name, "download not taken up")
            return
        self._tries[task.info, self._context.node] = self._tries.get((task.info, self._context.node), 0) + 1
        path = task.model["spec"]["storage"].get("path") or f"/raid/models/{hub_id}"
        script = _from_disk(script, self._context.disk.get(path), hub_id)
        self._log.info(f"Setting model {task.info} status to Updating before download")
        await self._entries.mark(task.model, "Updating")
        download = self._downloads[task.uid] = Download(script, self._clock)
        self._keys[task.uid] = model_key(task.name, task.namespace)
        try:
            completed = await self._transfer(task, hub_id, path, download)
        except DownloadError as error:
            limited = "429" in str(error) or "rate limit" in str(error)
            write, words = (
                (self._log.warn, "Rate limited while downloading")
                if limited
                else (
                    self._log.error,
                    "Failed to download",
                )
            )
            write(f"{words} HuggingFace model {task.info}: {error}")
            self._context.scenario.signals.note(task.name, "download error")
            if not download.cancelled.is_set():
                await self._entries.mark(task.model, "Failed")
            raise
        finally:
            self._downloads.pop(task.uid, None)
            self._keys.pop(task.uid, None)
        if completed:
            self._log.info(f"Successfully downloaded HuggingFace model {task.info} to {path}")
            await self._finish(task, hub_id, path, download)

    async def _transfer(self, task: Task, hub_id: str, path: str, download: Download) -> bool:
        """Run the transfer; returns whether it was completed."""
        scenario = self._context.scenario
        repo = scenario.repo(task.name, hub_id)
        self._log.info(f"Starting Hugging Face download for model {task.info}")
        if self._platform.profile.artifact_reuse and repo.exists:
            self._log.info(f"fetched sha of model {hub_id} is {repo.sha}")
        token = await self._token(task)
        self._log.info(f"Downloading HuggingFace model {hub_id} (revision: main) to {path}")
        if token:
            self._log.info(f"Using authentication token for HuggingFace model {task.info}")
        for line in download.script.log:
            self._context.log(line.replace("{model}", task.name).replace("{hub_id}", hub_id))
        age = self._clock.monotonic() - self._platform.started
        problem = refusal(repo, scenario.hub_rule(task.name, hub_id), token=token, cluster_age=age)
        if problem is not None:
            await self._clock.asleep(ATTEMPTS_SECONDS)
            raise DownloadError(problem)
        present = self._context.disk.get(path)
        if present is None or not present.complete:
            self._context.disk.put(path, Directory(hub_id))
        if download.stalls_after is None:
            return await download.run()
        stall = asyncio.create_task(self._note_stall(task.name, download.stalls_after))
        try:
            return await download.run()
        finally:
            stall.cancel()

    async def _note_stall(self, model: str, after: float) -> None:
        await self._clock.asleep(after)
        self._context.scenario.signals.note(model, "download stalls")

    async def _finish(self, task: Task, hub_id: str, path: str, download: Download) -> None:
        """Parse the configuration, fill the model's spec, and say Ready."""
        config = None
        repo = self._context.scenario.repo(task.name, hub_id)
        directory = self._context.disk.get(path) or self._context.disk.put(path, Directory(hub_id))
        directory.complete = True
        directory.corrupt = download.script.corrupt
        try:
            if not download.script.parse:
                raise ParseError("invalid model configuration: num_key_value_heads must be positive, got 0")
            config = read_config(repo, path, self._platform.profile)
            await self._fill_spec(task, config)
        except ParseError as error:
            self._context.scenario.signals.note(task.name, "config unparsed")
            self._log.error(f"Failed to parse and update model config: {error}")
        self._log.info(f"Successfully downloaded {task.info}")
        if download.script.stale:
            stale = download.finished()
            self._context.scenario.signals.note(task.name, "entry stale")
            await self._entries.mark(task.model, "Ready", config, entry_status="Updating", progress=stale)
        else:
            await self._entries.mark(task.model, "Ready", config)

    async def _fill_spec(self, task: Task, config: Object) -> None:
        current = self._platform.informers.of(task.resource).get(task.name, task.namespace)
        if current is None or current["metadata"]["uid"] != task.uid:
            return
        changes = spec_changes(current["spec"], config)
        if changes:
            try:
                await self._client.patch(task.resource, task.name, {"spec": changes}, task.namespace or None)
            except ApiStatusError as error:
                self._log.error(f"Failed to parse and update model config: {error}")

    async def _token(self, task: Task) -> bool:
        """Whether the download has a token; a missing secret or key is only a line in the log."""
        storage = task.model["spec"]["storage"]
        parameters = storage.get("parameters") or {}
        name = storage.get("key")
        if name:
            namespace = task.namespace or OME_NAMESPACE
            key = parameters.get("secretKey", "token")
            try:
                secret = await self._client.get(SECRETS, name, namespace)
            except ApiStatusError as error:
                self._log.warn(f"Failed to retrieve secret {name} in namespace {namespace} for {task.info}: {error}")
            else:
                value = (secret.get("data") or {}).get(key)
                if value and base64.b64decode(value).strip():
                    return True
                self._log.warn(f"Secret {namespace}/{name} does not contain key '{key}' for {task.info}")
        return bool(parameters.get("token"))

    async def _delete(self, task: Task) -> None:
        await self._clock.asleep(_BEFORE_DELETION)
        storage = task.model["spec"]["storage"]
        scheme = storage["storageUri"].partition("://")[0]
        self._log.info(f"Removing Hugging Face model {task.info}" if scheme == "hf" else f"Deleting {task.info}")
        path = storage.get("path")
        hub_id = storage["storageUri"].partition("://")[2].partition("@")[0]
        if self._script(task, hub_id).never_cleared:
            self._context.scenario.signals.note(task.name, "entry not cleared")
            self._log.error(f"Failed to delete {task.info}: context deadline exceeded")
            return
        if path and scheme in ("hf", "oci") and not self._keeps_files(task, path, scheme):
            self._context.disk.remove(path)
            self._log.info(f"Successfully deleted Hugging Face model {task.info}")
        await self._entries.clear(task.model)

    def _keeps_files(self, task: Task, path: str, scheme: str) -> bool:
        profile = self._platform.profile
        labels = task.model["metadata"].get("labels") or {}
        if profile.reserve_label and labels.get("models.ome/reserve-model-artifact", "").lower() == "true":
            self._log.info(f"Model artifact will be reserved as {task.resource.kind} has matched label")
            return True
        if profile.keeps_shared_path and self._shared(task, path):
            self._log.info(
                f"Skipping deletion of path {path} for model {task.info} as it is still referenced by other models"
            )
            return True
        return profile.artifact_reuse and scheme == "hf" and not self._entries.config_of(task.model).get("artifact")

    def _shared(self, task: Task, path: str) -> bool:
        for resource in (CLUSTER_BASE_MODELS, BASE_MODELS):
            for other in self._platform.informers.of(resource).cache.values():
                if other["metadata"]["uid"] != task.uid and other["spec"]["storage"].get("path") == path:
                    return True
        return False

    def _script(self, task: Task, hub_id: str) -> DownloadScript:
        tries = self._tries.get((task.info, self._context.node), 0)
        return self._context.scenario.download(task.name, hub_id, self._context.node, tries + 1)

    async def _report(self) -> None:
        """One write per tick for all running downloads."""
        while True:
            await self._clock.asleep(_PROGRESS_EVERY)
            if self._platform.profile.reports_progress and self._downloads:
                running = {self._keys[uid]: download for uid, download in self._downloads.items()}
                try:
                    await self._entries.report({key: download.progress() for key, download in running.items()})
                except ApiStatusError as error:
                    self._log.warn(f"Failed to update download progress: {error}")

    async def _repair(self) -> None:
        while True:
            await self._clock.asleep(_REPAIR_EVERY)
            config_map = self._platform.informers.of(CONFIG_MAPS).get(self._context.node, OME_NAMESPACE)
            try:
                await self._entries.repair(config_map)
            except ApiStatusError as error:
                self._log.warn(f"Failed to repair the node's ConfigMap: {error}")


def start_delay(node: str) -> float:
    """Cluster seconds an agent waits after its start, 0 to 29, by the node's name."""
    return float(int.from_bytes(hashlib.sha256(node.encode()).digest()[:2], "big") % _START_JITTER)


def _from_disk(script: DownloadScript, directory: Directory | None, hub_id: str) -> DownloadScript:
    """A complete copy is only looked through, however long the download took."""
    there = directory is not None and directory.complete and directory.hub_id == hub_id
    if not there or script.error is not None or script.stuck_after is not None:
        return script
    return dataclasses.replace(script, seconds=min(script.seconds, _CHECK_SECONDS))
