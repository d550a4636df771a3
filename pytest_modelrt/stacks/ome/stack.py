"""OME behind the stack protocol: applies the files of the config tree and says when each object is as it should be."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from pytest_modelrt.cluster.model import POD, Object, Ref
from pytest_modelrt.diagnosis.model import Evidence
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.ome import cleanup, pods
from pytest_modelrt.stacks.ome.context import Context, dig, name_of, relaxed
from pytest_modelrt.stacks.ome.download_nodes import nodes_of, placed
from pytest_modelrt.stacks.ome.evidence import Collector
from pytest_modelrt.stacks.ome.files import CaseFiles, read_files
from pytest_modelrt.stacks.ome.model_wait import ModelWait, longest_silence
from pytest_modelrt.stacks.ome.names import ENGINE, ENGINE_CONTAINER, ROUTER, Names
from pytest_modelrt.stacks.ome.node_entries import read_entries
from pytest_modelrt.stacks.ome.preflight import check_arithmetic, check_before_touching
from pytest_modelrt.stacks.ome.repair import admit_gated, fit_runtime
from pytest_modelrt.stacks.ome.service_wait import ServiceWait
from pytest_modelrt.stacks.protocol import Endpoint, Progress, Ready, StackFailure, StackRequest

RESETTLE_SECONDS = 60.0
"""Cluster seconds between the end of a model and its re-creation: every agent still gets a second delete task, keyed by
name, and a model created in between can lose its entry to it (facts: OME 2.9)."""
NODES_AGE = 60.0
"""Real seconds for which the nodes need not be read anew for the next download ahead."""

OF_NODES = frozenset({"disk-full", "download-corrupt", "download-failed", "download-partial-nodes", "download-queued",
                      "download-stuck"})  # fmt: skip
"""Causes of a failed download that need not hold on other nodes."""


class OmeStack:
    """One case attempt on OME."""

    def __init__(self, request: StackRequest) -> None:
        case, campaign = request.case, request.campaign
        self._request = request
        self._files: CaseFiles | None = None
        self._live: dict[Stage, Object] = {}
        self._model_wait: ModelWait | None = None
        self._service_wait: ServiceWait | None = None
        self._began = time.monotonic()
        self._nodes = request.nodes
        """Nodes chosen for the download; empty: all that the file allows."""
        self._agents_since: float | None = None
        """When the last try of the model began, on the real clock: what agents said before is about the one before."""
        self._context = Context(
            case=case,
            cluster=request.cluster,
            names=Names.of(case.resource_name, case.runtime_name, case.resource_name, case.resource_name),
            owner=request.owner,
            deadlines=relaxed(campaign.deadlines, request.cluster.clock.speed),
            observe=request.observe,
            nodes_wanted=max(campaign.nodes_wanted, case.serving.nodes),
            nodes_minimum=campaign.nodes_minimum,
        )

    @property
    def files(self) -> CaseFiles:
        """The files of the case."""
        if self._files is None:
            self._files = read_files(self._request.config_dir, self._context.case)
            self._context.names = self._files.names
        return self._files

    def preflight(self) -> Ready:
        """Files present and valid, GPUs enough, names free. Touches nothing."""
        return check_before_touching(self._context, self.files, self._request.campaign)

    def apply_model(self) -> Ready:
        """Create the model and wait until the wanted nodes hold it."""
        if 0 < len(self._nodes) < self._context.nodes_wanted:  # a marker asks for more than the run chose
            self._nodes = ()
            self.reset(Stage.MODEL)  # agents do not look at it again when its nodes change
        model = placed(self.files.model, self._nodes)
        if nodes := nodes_of(model):
            self._context.observe("download-nodes", {"nodes": list(nodes)})
        self._apply(model)
        self._model_wait = ModelWait(self._context)
        ready = self._model_wait.run()
        self._refresh(Stage.MODEL, self._context.names.model)
        return replace(ready, facts={**ready.facts, "download_nodes": list(nodes)}) if nodes else ready

    def request_model(self) -> None:
        """Create the model without waiting, if the case fits: it will find the model as its own, and check the rest."""
        files = self.files
        check_arithmetic(self._context, self._request.campaign, max_age=NODES_AGE)
        self._apply(placed(files.model, self._nodes))

    def model_complete(self, model: Object) -> bool:
        """Whether the wanted nodes hold the model."""
        return len(dig(model, "status", "nodesReady") or ()) >= self._context.nodes_wanted

    def download_progress(self) -> Progress | None:
        """What the agents say of the model, or None while none of them works on it."""
        entries = read_entries(self._context.cluster, self._context.names.model.name)
        under_way = tuple(entries.with_status("Updating"))
        return Progress(entries.fingerprint(), longest_silence(self._context), under_way) if under_way else None

    def apply_runtime(self) -> Ready:
        """Compare with the model as the platform now describes it, repair by policy, create."""
        model, policy = self._live.get(Stage.MODEL, {}), self._request.campaign.repair
        runtime, warnings = fit_runtime(self._context, self.files, model, policy, self._request.run_dir)
        self._live[Stage.RUNTIME] = self._apply(runtime)
        return Ready(warnings=warnings)

    def apply_service(self) -> Ready:
        """Namespace and service; wait until it is ready to be asked."""
        self._apply(self.files.namespace)
        self._apply(self.files.service)
        self._service_wait = ServiceWait(self._context, engine_pods=self.files.engine_pods)
        ready = self._service_wait.run()
        self._refresh(Stage.SERVICE, self._context.names.service)
        return ready

    def mend(self, cause: str) -> tuple[str, ...]:
        """Once each: a gated model that names no token gets the platform's; what fails on chosen nodes goes to all."""
        if cause in OF_NODES and self._nodes:
            tried, self._nodes = ", ".join(self._nodes), ()
            return (f"downloaded to all nodes, not only to {tried}",)
        if cause != "download-gated":
            return ()
        self._files, changes = admit_gated(
            self._context, self.files, self._request.campaign.repair, self._request.run_dir
        )
        return changes

    def reset(self, stage: Stage) -> bool:
        """Delete what the stage created and see it gone: the platform does not look again at what it has seen."""
        if stage is Stage.MODEL:
            left = cleanup.delete_model(self._context).warnings
            self._context.clock.sleep(RESETTLE_SECONDS)
            self._agents_since = time.monotonic()
            return not left
        return stage is not Stage.SERVICE or not self.delete_service().warnings

    def endpoint(self) -> Endpoint:
        """The engine's pod (the leader of its group), and the router's where one is ready."""
        namespace = self._context.names.namespace.name
        ready = [pod for pod in self._context.cluster.list(POD, namespace) if pods.is_ready(pod)]
        engine = next((p for p in ready if pods.component(p) == ENGINE and pods.is_leader(p)), None)
        if engine is None:
            raise StackFailure(Stage.PROBE, "engine-gone", f"no engine pod in {namespace} is ready any more")
        router = next((p for p in ready if pods.component(p) == ROUTER), None)
        return Endpoint(
            namespace=namespace,
            pod=name_of(engine),
            port=pods.port_of(engine, ENGINE_CONTAINER),
            served_name=self._context.case.hub_id,
            router_pod=name_of(router) if router else None,
            router_port=pods.port_of(router, ROUTER) if router else None,
        )

    def collect(self, failure: StackFailure) -> Evidence:
        """Everything known now; what cannot be read is left out."""
        idle = self._model_wait.idle_seconds if self._model_wait and failure.stage is Stage.MODEL else None
        crashes = self._service_wait.crash_logs if self._service_wait else {}
        now = time.monotonic()
        since = None if self._agents_since is None else math.ceil(now - self._agents_since)
        collector = Collector(self._context, crashes, agents_since=since, case_age=math.ceil(now - self._began))
        return collector.collect(failure, idle)

    def delete_service(self, *, wait: bool = True) -> Ready:
        """Service, pods, namespace."""
        return cleanup.delete_service(self._context, wait=wait)

    def delete_runtime(self) -> Ready:
        """The runtime."""
        return cleanup.delete_runtime(self._context)

    def delete_model(self) -> Ready:
        """The model."""
        return cleanup.delete_model(self._context, wait=not self._request.ahead)

    def live(self, stage: Stage) -> Object:
        """The object of a stage as last seen."""
        return self._live.get(stage, {})

    def leftovers(self) -> list[Ref]:
        """What of ours is still there."""
        return cleanup.leftovers(self._context)

    def objects(self) -> list[Object]:
        """What would be applied, in order."""
        files = self.files
        return [self._context.stamped(o) for o in (files.model, files.runtime, files.namespace, files.service)]

    def _apply(self, obj: Object) -> Object:
        return self._context.cluster.apply(self._context.stamped(obj))

    def _refresh(self, stage: Stage, ref: Ref) -> None:
        self._live[stage] = self._context.cluster.get(ref) or {}
