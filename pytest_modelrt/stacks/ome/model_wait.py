"""Waiting for a model: status by watch; the agents' own entries are read only when the status has been silent.

``state`` alone proves nothing (facts: OME 2.4, failures A2, A3): the count of ready nodes decides, it may go back and
forth, and only silence of everything that could move ends the wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_modelrt.cluster.model import CLUSTER_BASE_MODEL, NODE, Object, Selection
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.ome.context import Context, dig, name_of
from pytest_modelrt.stacks.ome.download_nodes import nodes_of
from pytest_modelrt.stacks.ome.names import node_label
from pytest_modelrt.stacks.ome.node_entries import NodeEntries, read_entries
from pytest_modelrt.stacks.ome.platform import is_old
from pytest_modelrt.stacks.protocol import Ready, StackFailure

SETTLE = 60.0
"""Cluster seconds a state that looks final must last: agents write their entries up to 30 s apart."""


BLIND = 3600.0
BLIND_BYTES_PER_SECOND = 33e6
"""Cluster seconds of silence, and bytes per second if that is longer, that count as a stall where agents do not report
progress: models of a few gigabytes took up to 55 minutes, and downloads run at 100 MB/s, with a factor of three."""


def longest_silence(context: Context) -> float:
    """Cluster seconds without a sign of progress that mean a stall."""
    idle = float(context.deadlines.model_idle)
    if not is_old(context.cluster):
        return idle
    return max(idle, BLIND, context.case.weights_bytes / BLIND_BYTES_PER_SECOND)


@dataclass(slots=True)
class ModelWait:
    """The wait for one model."""

    context: Context
    latest: Object = field(default_factory=dict)
    entries: NodeEntries = field(default_factory=NodeEntries)
    _moved: float = 0.0
    """When something last moved, on the cluster's clock."""
    _fingerprint: tuple[object, ...] = ()
    _nodes: tuple[int, int] = (-1, -1)
    _idle: float = 0.0
    """``longest_silence``, asked for once."""
    _labelled: bool = False
    """Whether enough nodes carried the model's label at the last look."""

    def run(self) -> Ready:
        """Wait; returns when enough nodes are ready.

        Raises:
            StackFailure: ``terminal-state``, ``not-picked-up``, ``no-progress``, ``deadline`` or ``deleted``.
        """
        started = self._moved = self.context.now()
        self._idle = longest_silence(self.context)
        name = self.context.names.model.name
        look_at = started + self._patience(started)
        with self.context.cluster.changes([Selection(CLUSTER_BASE_MODEL, name=name)]) as changes:
            while True:
                change = changes.get(max(0.0, look_at - self.context.now()))
                if change is not None:
                    self._see(change[1].type, change[1].object)
                    if len(self.ready) >= self.context.nodes_wanted:
                        return self._done(())
                elif self.context.now() >= look_at:
                    settled = self._look_closer(started)
                    if settled is not None:
                        return settled
                else:
                    continue
                look_at = self.context.now() + self._patience(started)

    @property
    def ready(self) -> list[str]:
        """Nodes the status says are ready."""
        return list(dig(self.latest, "status", "nodesReady") or [])

    @property
    def failed(self) -> list[str]:
        """Nodes the status says failed."""
        return list(dig(self.latest, "status", "nodesFailed") or [])

    @property
    def _settle_time(self) -> float:
        return self.context.patience(SETTLE)

    def _patience(self, started: float) -> float:
        """How long to listen before looking at the nodes: shorter when the status already looks final."""
        limits = self.context.deadlines
        now = self.context.now()
        idle = self._settle_time if self.ready or self.failed else min(limits.model_pickup, limits.model_idle)
        return max(1.0, min(idle, started + limits.model_hard - now))

    def _see(self, kind: str, obj: Object) -> None:
        if kind == "DELETED":
            raise StackFailure(Stage.MODEL, "deleted", f"{self.context.names.model} was deleted by somebody else")
        self.latest = obj
        nodes = (len(self.ready), len(self.failed))
        if nodes != self._nodes:
            self._nodes = nodes
            self._moved = self.context.now()
            state = dig(obj, "status", "state") or "no state yet"
            self.context.saw(f"model {state}, {nodes[0]} nodes ready, {nodes[1]} failed")
            self.context.observe("nodes-ready", {"ready": nodes[0], "failed": nodes[1], "state": state})

    def _look_directly(self) -> None:
        """Read the status: a process that gets little of a busy machine hears of it late."""
        model = self.context.cluster.get(self.context.names.model)
        if model is None:
            self._see("DELETED", self.latest)
        elif dig(model, "metadata", "resourceVersion") != dig(self.latest, "metadata", "resourceVersion"):
            self._see("MODIFIED", model)

    def _look_closer(self, started: float) -> Ready | None:
        """The status was silent: read the nodes, go on waiting, settle for fewer nodes, or give up."""
        self._look_directly()
        if len(self.ready) >= self.context.nodes_wanted:
            return self._done(())
        limits = self.context.deadlines
        now = self.context.now()
        self.entries = read_entries(self.context.cluster, self.context.names.model.name)
        updating = self.entries.with_status("Updating")
        fingerprint, before = self.entries.fingerprint(), self._fingerprint
        self._fingerprint = fingerprint
        if fingerprint != before and (before or updating or not self.entries.own):
            self._moved = now  # a first look at nodes that are all done is no news
        self.context.observe(
            "download-progress",
            {"updating": len(updating), "completed_bytes": self.entries.completed_bytes,
             "queue": sorted(self.entries.others)},
        )  # fmt: skip
        silent = now - self._moved
        if not updating and silent >= self._settle_time and (self.ready or self.failed):
            busy = "the other nodes are busy with other models" if self.entries.others else ""
            return self._settle(busy or "nothing is downloading any more")
        if silent >= self._idle:
            return self._settle(f"no byte arrived on any node for {silent:.0f} s")
        if now - started >= limits.model_hard:
            return self._settle(f"not finished after {limits.model_hard} s", "deadline")
        if not self.entries.own and not self.entries.others and now - started >= limits.model_pickup:
            return self._settle(f"no node has started the download after {now - started:.0f} s", "not-picked-up")
        if not self.entries.own and now - started >= limits.model_pickup and (later := self._overtaken_by()):
            return self._settle(f"the nodes work on {', '.join(later)}, which came later", "not-picked-up")
        labelled, self._labelled = self._labelled, len(self._labelled_ready()) >= self.context.nodes_wanted
        if labelled and self._labelled and not self.ready:
            return self._settle("the nodes' labels say that it is there")
        return None

    def _overtaken_by(self) -> list[str]:
        """Models our nodes work on that were created after ours: each node goes by order, so ours was passed over."""
        ours = str(dig(self.latest, "metadata", "creationTimestamp") or "~")
        chosen = nodes_of(self.latest)
        created = {
            name_of(model): str(dig(model, "metadata", "creationTimestamp") or "")
            for model in self.context.cluster.list(CLUSTER_BASE_MODEL)
        }
        return sorted(
            model
            for model, nodes in self.entries.others.items()
            if created.get(model, "") > ours and (not chosen or not nodes.keys().isdisjoint(chosen))
        )

    def _settle(self, why: str, reason: str = "no-progress") -> Ready:
        """Take what is there if policy allows, else give up."""
        minimum = max(self.context.nodes_minimum, self.context.case.serving.nodes)
        wanted = self.context.nodes_wanted
        if len(self.ready) >= minimum:
            warning = f"download-partial-nodes: {len(self.ready)} of {wanted} wanted nodes hold the model; {why}"
            return self._done((warning,))
        labelled = self._labelled_ready()
        if len(labelled) >= minimum:
            warning = f"download-status-stale: status counts {len(self.ready)} nodes, node labels {len(labelled)}"
            return self._done((warning,))
        final = bool(self.failed) and not self.entries.with_status("Updating")
        detail = f"{len(self.ready)} nodes ready, {len(self.failed)} failed, {minimum} needed: {why}"
        raise StackFailure(Stage.MODEL, "terminal-state" if final else reason, detail)

    def _labelled_ready(self) -> list[Object]:
        selector = f"{node_label(self.context.names.model.name)}=Ready"
        return self.context.cluster.list(NODE, labels=selector)

    @property
    def idle_seconds(self) -> float:
        """Cluster seconds since anything moved."""
        return self.context.now() - self._moved

    def _done(self, warnings: tuple[str, ...]) -> Ready:
        for warning in warnings:
            self.context.observe("warning", {"text": warning})
        facts = {"nodes_ready": len(self.ready), "nodes_failed": len(self.failed)}
        return Ready(facts=facts, warnings=warnings)
