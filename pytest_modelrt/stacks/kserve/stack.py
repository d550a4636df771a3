"""KServe behind the stack protocol: one model of the overlay, from its files to its removal.

The model comes with its image and the runtime with KServe's preset: those two stages find everything there.
"""

from __future__ import annotations

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.model import EVENT, ClusterError, Object, Ref
from pytest_modelrt.diagnosis.model import Evidence, PodSnapshot
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.installed import Missing, look
from pytest_modelrt.stacks.kserve.model import ServedModel
from pytest_modelrt.stacks.kserve.overlay import Overlay, OverlayError
from pytest_modelrt.stacks.kserve.waiting import ready_pods, wait_healthy, wait_ready
from pytest_modelrt.stacks.protocol import Endpoint, Ready, StackFailure, StackRequest

READY_SECONDS = 60.0
"""What the platform promises with its images on the node."""
GONE_SECONDS = 120.0
LEAST_REAL_SECONDS = 20.0
_LOG_LINES = 200


class KserveStack:
    """One case attempt on KServe; the case's resource name is that of a model in ``<config>/kind/test-models``."""

    def __init__(self, request: StackRequest, model: ServedModel | None = None) -> None:
        """``model``: a model that is no file of the overlay, for example a copy under another name."""
        self._request = request
        self._cluster = request.cluster
        self._model = model
        self._live: Object = {}

    @property
    def model(self) -> ServedModel:
        """The model's objects; raises StackFailure when the overlay has no such model."""
        if self._model is None:
            name = self._request.case.resource_name
            try:
                objects = Overlay.load(self._request.config_dir / "kind").models[name]
            except KeyError:
                raise StackFailure(Stage.PREFLIGHT, "rejected", f"no {name} in kind/test-models") from None
            except OverlayError as error:
                raise StackFailure(Stage.PREFLIGHT, "rejected", str(error)) from None
            self._model = ServedModel(self._cluster, self._request.owner, objects)
        return self._model

    def preflight(self) -> Ready:
        """Everything installed, and the names free."""
        found = look(self._cluster)
        if isinstance(found, Missing):
            raise StackFailure(Stage.PREFLIGHT, "not-installed", str(found), cause="maas-not-installed")
        taken = [str(ref) for ref in self.model.everything() if self._cluster.get(ref) is not None]
        if taken:
            text = f"exists already: {', '.join(taken)}"
            raise StackFailure(Stage.PREFLIGHT, "conflict", text, cause="leftover-conflict")
        return Ready(facts={"kserve": found.kserve})

    def apply_model(self) -> Ready:
        """Nothing: the simulator's image is the model."""
        return Ready()

    def apply_runtime(self) -> Ready:
        """Nothing: KServe's preset is the runtime."""
        return Ready()

    def apply_service(self) -> Ready:
        """Create the model's objects; Ready and healthy afterwards."""
        deadline = self._deadline(READY_SECONDS)
        self.model.create()
        self._live = wait_ready(self._cluster, self.model.service, deadline)
        ready = deadline.elapsed
        wait_healthy(self._cluster, self.model.service, deadline)
        return Ready(facts={"ready_seconds": round(ready, 1), "healthy_seconds": round(deadline.elapsed, 1)})

    def endpoint(self) -> Endpoint:
        """A ready pod; raises StackFailure when there is none."""
        pods = ready_pods(self._cluster, self.model.service)
        if not pods:
            raise StackFailure(Stage.PROBE, "no-pod", f"{self.model.service} has no ready pod")
        return Endpoint(self.model.namespace, pods[0]["metadata"]["name"], names.PORT, self.model.name)

    def collect(self, failure: StackFailure) -> Evidence:
        """Service, Deployment, pods with logs, and events about them."""
        cluster, model = self._cluster, self.model
        try:
            pods = model.pods()
            about = {model.name, names.workload(model.name).name, *(pod["metadata"]["name"] for pod in pods)}
            events = [
                event
                for event in cluster.list(EVENT, model.namespace)
                if event.get("involvedObject", {}).get("name") in about
            ]
            deployment = cluster.get(names.workload(model.name, model.namespace))
            return Evidence(
                stage=failure.stage,
                waited=0.0,
                reason=failure.reason,
                detail=failure.detail,
                service=cluster.get(model.service),
                events=tuple(events),
                pods=tuple(map(self._snapshot, pods)),
                deployments=(deployment,) if deployment else (),
            )
        except ClusterError:
            return Evidence(stage=failure.stage, waited=0.0, reason=failure.reason, detail=failure.detail)

    def delete_service(self, *, wait: bool = True) -> Ready:
        """Route, service, pods, claim, access; leftovers are warnings."""
        trouble = self.model.delete(wait=self._patience(GONE_SECONDS) if wait else None)
        return Ready(warnings=tuple(f"cleanup-leftover: {text}" for text in trouble))

    def delete_runtime(self) -> Ready:
        """Nothing was created."""
        return Ready()

    def delete_model(self) -> Ready:
        """Nothing was created."""
        return Ready()

    def live(self, stage: Stage) -> Object:
        """The LLMInferenceService, as it was when it became ready."""
        return self._live if stage is Stage.SERVICE else {}

    def leftovers(self) -> list[Ref]:
        """What of ours is still there."""
        return self.model.leftovers()

    def objects(self) -> list[Object]:
        """What would be applied, in order."""
        return list(self.model.objects)

    def _snapshot(self, pod: Object) -> PodSnapshot:
        metadata = pod["metadata"]
        log = self._cluster.logs(metadata["namespace"], metadata["name"], names.CONTAINER, tail_lines=_LOG_LINES)
        return PodSnapshot(pod, logs={names.CONTAINER: log})

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(self._cluster.clock, self._patience(seconds))

    def _patience(self, seconds: float) -> float:
        """On a fast simulated cluster no wait is shorter than a busy machine needs to deliver an event."""
        speed = self._cluster.clock.speed
        return max(seconds, LEAST_REAL_SECONDS * speed) if speed > 1 else seconds
