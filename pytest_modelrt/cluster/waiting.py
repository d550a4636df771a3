"""What to say when a wait was in vain: why an object is still there, and the command to look at it."""

from __future__ import annotations

from pytest_modelrt.cluster.model import Object, Ref


def kubectl_line(ref: Ref) -> str:
    """``kubectl get inferenceservices.ome.io llama -n llama -o yaml``."""
    kind = f"{ref.resource.plural}.{ref.resource.group}" if ref.resource.group else ref.resource.plural
    where = f" -n {ref.namespace}" if ref.namespace else ""
    return f"kubectl get {kind} {ref.name}{where} -o yaml"


def why_still_there(obj: Object) -> str:
    """Deletion time, finalizers and the conditions that explain a deletion that does not end."""
    metadata = obj.get("metadata", {})
    asked = metadata.get("deletionTimestamp")
    parts = [f"deletion asked at {asked}" if asked else "not being deleted"]
    finalizers = [*(metadata.get("finalizers") or []), *((obj.get("spec") or {}).get("finalizers") or [])]
    if finalizers:
        parts.append(f"finalizers {', '.join(map(str, finalizers))}")
    status = obj.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    for condition in conditions or []:
        message = condition.get("message")
        if asked and condition.get("status") == "True" and message:
            parts.append(f"{condition.get('type')}: {message}")
    return "; ".join(parts)
