"""One watch that survives: list, then watch from that version; again after a cut, a silence, a 410 or an outage.

What comes out is a consistent story per object: ADDED once, then MODIFIED, then DELETED; also when events were lost on
the way, because every relist is compared with what was told before.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from pytest_modelrt.cluster.api import Api, api_error, is_transient
from pytest_modelrt.cluster.connection import Request
from pytest_modelrt.cluster.model import ApiError, Object, Selection, WatchEvent
from pytest_modelrt.cluster.objects import collection_path, list_pages, without_managed_fields

SILENCE = 150.0
"""Cluster seconds without a byte, bookmarks (about one a minute) included, before a watch is taken for dead."""
SHORTEST_SILENCE = 10.0
"""Real seconds, for fast clocks."""
SERVER_TIMEOUT = 300
"""Real seconds after which we ask the server to end a watch by itself."""
_PAUSE = 1.0
"""Cluster seconds before reconnecting to a server that ended a watch without sending anything."""

Tell = Callable[[WatchEvent | None], None]
"""Receives events; ``None`` once, when everything present at the start was told."""


class Watcher:
    """Follows one selection until closed; ``run`` blocks, ``close`` may come from any thread."""

    def __init__(self, api: Api, selection: Selection, tell: Tell, *, silence: float | None = None) -> None:
        self._api = api
        self._silence = silence or max(SILENCE / api.clock.speed, SHORTEST_SILENCE)
        """Real seconds."""
        self._selection = selection
        self._tell = tell
        self._known: dict[tuple[str, str], Object] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._response: urllib3.BaseHTTPResponse | None = None

    def close(self) -> None:
        """End ``run``, also while it waits for bytes."""
        with self._lock:
            self._stop.set()
            if self._response is not None:
                try:
                    self._response.shutdown()
                except (OSError, ValueError, RuntimeError):
                    self._response = None  # it ended by itself in the meantime

    def run(self) -> None:
        """Tell until closed; raises ApiError (no permission, kind not served), ApiUnavailable, Stopped."""
        version = self._relist()
        self._tell(None)
        while not self._stop.is_set():
            before = version
            version = self._stream(version) if version else self._relist()
            if version == before:
                self._api.clock.wait(self._stop, max(_PAUSE, 0.05 * self._api.clock.speed))

    def _relist(self) -> str:
        objects, version = list_pages(self._api, self._selection, stop=self._stop)
        present = {_key(obj): obj for obj in objects}
        for key in [key for key in self._known if key not in present]:
            self._note(WatchEvent("DELETED", self._known[key]))
        for obj in present.values():
            self._note(WatchEvent("MODIFIED", obj))
        return version

    def _note(self, event: WatchEvent) -> None:
        """Tell the event in terms of what was told before."""
        key = _key(event.object)
        old = self._known.get(key)
        if event.type == "DELETED":
            if self._known.pop(key, None) is not None:
                self._tell(event)
            return
        if old is not None and _uid(old) != _uid(event.object):
            self._tell(WatchEvent("DELETED", old))
            old = None
        self._known[key] = event.object
        if old is None:
            self._tell(WatchEvent("ADDED", event.object))
        elif _version(old) != _version(event.object):
            self._tell(WatchEvent("MODIFIED", event.object))

    def _stream(self, version: str) -> str:
        """Follow one connection; returns the version to go on from, empty to list again."""
        request = Request(
            "GET",
            collection_path(self._selection.resource, self._selection.namespace),
            {
                "watch": True,
                "allowWatchBookmarks": True,
                "resourceVersion": version,
                "timeoutSeconds": SERVER_TIMEOUT,
                "labelSelector": self._selection.labels,
                "fieldSelector": self._selection.field_selector(),
            },
            read_timeout=self._silence,
        )
        try:
            response = self._api.stream(request, self._stop)
        except ApiError as error:
            if error.code == 410:
                return ""
            raise
        with self._lock:
            self._response = response
            if self._stop.is_set():
                response.close()
                return version
        try:
            return self._follow(response, version)
        finally:
            with self._lock:
                self._response = None
            response.close()

    def _follow(self, response: urllib3.BaseHTTPResponse, version: str) -> str:
        try:
            for line in _lines(response):
                message = json.loads(line)
                kind, obj = message["type"], message["object"]
                if kind == "ERROR":
                    return self._refused(obj)
                version = _version(obj) or version
                if kind != "BOOKMARK":
                    self._note(WatchEvent(kind, without_managed_fields(obj)))
        except urllib3.exceptions.ReadTimeoutError:
            return ""  # nothing for too long: do not trust this connection, nor what it may have dropped
        except (HTTPError, OSError, ValueError, KeyError, TypeError):
            return version  # cut, maybe in the middle of a line: go on from the last whole event
        return version

    def _refused(self, status: Any) -> str:
        """An ERROR event: 410 and troubles of the server mean to list again, anything else is final."""
        error = api_error(int(status.get("code", 500)), json.dumps(status).encode())
        if error.code == 410 or error.code == 500 or is_transient(error):
            return ""
        raise error


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Whole lines as they arrive; a torn last line is dropped."""
    buffer = b""
    for chunk in response.stream(65536):
        *whole, buffer = (buffer + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj.get("metadata", {})
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _uid(obj: Object) -> str:
    return str(obj.get("metadata", {}).get("uid", ""))


def _version(obj: Object) -> str:
    return str(obj.get("metadata", {}).get("resourceVersion", ""))
