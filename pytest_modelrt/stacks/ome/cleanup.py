"""Deletion in the plan's order, each step seen to be done (facts: OME 2.9, 4.11)."""

from __future__ import annotations

from pytest_modelrt.cluster.model import POD, NotOurs, Ref, WaitTimeout
from pytest_modelrt.cluster.ownership import is_ours
from pytest_modelrt.stacks.ome.context import Context, dig, name_of
from pytest_modelrt.stacks.protocol import Ready


def delete_service(context: Context, *, wait: bool) -> Ready:
    """Service, then its pods gone, then the namespace gone."""
    names, limits = context.names, context.deadlines
    warnings: list[str] = []
    if not _delete(context, names.service):
        return Ready(warnings=_remove_namespace(context)) if wait else Ready()
    if not wait:
        return Ready()
    warnings += _gone(context, names.service, limits.pods_gone)
    warnings += _pods_gone(context)
    warnings += _remove_namespace(context)
    return Ready(warnings=tuple(warnings))


def delete_runtime(context: Context) -> Ready:
    """The runtime; nothing holds it back."""
    return Ready(warnings=_remove(context, context.names.runtime, context.deadlines.reconcile))


def delete_model(context: Context, *, wait: bool = True) -> Ready:
    """The model; gone when every node has dropped it, which waits behind downloads of others on busy nodes.

    It holds no GPU, so after its deadline the case goes on with a warning; the sweep at the end waits for it.
    So it does, too, without ``wait``.
    """
    if not wait:
        _delete(context, context.names.model)
        return Ready()
    late = _remove(context, context.names.model, context.deadlines.model_gone)
    return Ready(warnings=tuple(text.replace("cleanup-leftover", "model-delete-stuck", 1) for text in late))


def leftovers(context: Context) -> list[Ref]:
    """What of ours is still there and will not go by itself; model and namespace may be going, then nobody need."""
    found = []
    for ref in context.names.all():
        obj = context.cluster.get(ref)
        going = ref in (context.names.model, context.names.namespace) and dig(obj, "metadata", "deletionTimestamp")
        if obj is not None and is_ours(obj, context.owner.run_id) and not going:
            found.append(ref)
    return found


def _remove_namespace(context: Context) -> tuple[str, ...]:
    """The namespace; one that does not finish terminating is the cluster's trouble and leaves the verdict alone."""
    late = _remove(context, context.names.namespace, context.deadlines.namespace_gone)
    return tuple(text.replace("cleanup-leftover", "namespace-stuck-terminating", 1) for text in late)


def _remove(context: Context, ref: Ref, seconds: float) -> tuple[str, ...]:
    return _gone(context, ref, seconds) if _delete(context, ref) else ()


def _delete(context: Context, ref: Ref) -> bool:
    """Ask for deletion; False when there is nothing of ours."""
    try:
        return context.cluster.delete(ref)
    except NotOurs:
        return False


def _gone(context: Context, ref: Ref, seconds: float) -> tuple[str, ...]:
    try:
        context.cluster.wait_gone(ref, context.deadline(seconds))
    except WaitTimeout as error:
        return (f"cleanup-leftover: {error}",)
    return ()


def _pods_gone(context: Context) -> tuple[str, ...]:
    """Wait until no pod is left in the service's namespace: terminating pods still hold their GPUs."""
    namespace, seconds = context.names.namespace.name, context.deadlines.pods_gone
    deadline = context.deadline(seconds)
    while left := context.cluster.list(POD, namespace):
        try:
            for pod in left:
                context.cluster.wait_gone(Ref(POD, name_of(pod), namespace), deadline, uid=pod["metadata"]["uid"])
        except WaitTimeout:
            return (f"cleanup-leftover: pods still there after {seconds} s: {', '.join(sorted(map(name_of, left)))}",)
    return ()
