"""What lies on the nodes' disks: the directories the model agents fill and the engines read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Directory:
    """One directory with a downloaded repository."""

    hub_id: str
    complete: bool = False
    has_config: bool = True
    """Whether config.json lies in it."""
    corrupt: bool = False
    """Files are there, but broken."""


class Disk:
    """Directories of one node by absolute path."""

    def __init__(self, node: str) -> None:
        self.node = node
        self._directories: dict[str, Directory] = {}

    def get(self, path: str) -> Directory | None:
        """What lies at ``path``, if anything."""
        return self._directories.get(_normal(path))

    def put(self, path: str, directory: Directory) -> Directory:
        """Write a directory, replacing what was there."""
        self._directories[_normal(path)] = directory
        return directory

    def remove(self, path: str) -> bool:
        """Delete a directory; returns whether it was there."""
        return self._directories.pop(_normal(path), None) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._directories)


class Disks:
    """The disk of every node; made when first asked for."""

    def __init__(self) -> None:
        self._disks: dict[str, Disk] = {}

    def of(self, node: str) -> Disk:
        """The disk of a node."""
        return self._disks.setdefault(node, Disk(node))


def _normal(path: str) -> str:
    return "/" + path.strip("/")
