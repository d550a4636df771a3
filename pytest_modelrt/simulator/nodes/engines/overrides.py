"""Answers a scenario gives instead of a server's own."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.scenario import HttpRule


def overrides(
    rules: Sequence[HttpRule],
    clock: Clock,
    die: Callable[[], None] | None = None,
    note: Callable[[str], None] = lambda what: None,
) -> Middleware:
    """A middleware; ``die`` is called by a request that kills the server, ``note`` by each that a rule hits."""
    hits: Counter[int] = Counter()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        rule = _matching(rules, hits, request.path)
        if rule is None:
            return await handler(request)
        note(f"HTTP {request.path}")
        if rule.delay:
            await clock.asleep(rule.delay)
        if rule.crash or rule.reset:
            if rule.crash and die is not None:
                die()
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError
        if rule.status is None and rule.body is None:
            return await handler(request)
        return _answer(rule)

    return middleware


def _matching(rules: Sequence[HttpRule], hits: Counter[int], path: str) -> HttpRule | None:
    for index, rule in enumerate(rules):
        if not fnmatchcase(path, rule.path):
            continue
        hit = hits[index]
        hits[index] += 1
        if hit >= rule.after and (rule.times is None or hit < rule.after + rule.times):
            return rule
    return None


def _answer(rule: HttpRule) -> web.Response:
    status = rule.status or 200
    if isinstance(rule.body, str):
        return web.Response(status=status, text=rule.body)
    body = b"" if rule.body is None else json.dumps(rule.body).encode()
    return web.Response(status=status, body=body, content_type="application/json")
