"""Statements about limits that cannot depend on luck.

The limiter counts per account name and route in fixed windows that begin with the first request it counted. Every burst
uses an account that never asked before, so its window begins with the burst; and a burst counts only when it was over
before the window was: then each of its requests fell into the same window, and the number let through is exact. A burst
that took longer proves nothing and is repeated with another account.

The gateway lets a request pass uncounted when the limiter does not answer within 100 ms. One burst with too many
passes is therefore repeated; the limit counts as absent when ``BURSTS`` bursts in a row let more through. If a loaded
machine spoils one burst in twenty, that is one wrong alarm in 8000 tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.calls import Reply
from pytest_modelrt.stacks.kserve.judge import Judgement, MaasFailure, not_limited, wrong_answer
from pytest_modelrt.stacks.kserve.platform import MaasPlatform

BURSTS = 3
"""Bursts that must agree before a limit counts as absent."""
TRIES = 40
"""Bursts that may be too slow before it counts as impossible to measure here; each is given up when its window ends."""
REFUSED = int(httpx.codes.TOO_MANY_REQUESTS)
PASSED = int(httpx.codes.OK)

Send = Callable[[Account], Reply]


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests of one account, all within one window."""

    account: Account
    replies: tuple[Reply, ...]
    tries: int
    """Bursts it took, those that were too slow included."""

    @property
    def statuses(self) -> list[int]:
        """In the order sent."""
        return [reply.status for reply in self.replies]

    @property
    def passed(self) -> int:
        """How many were answered."""
        return self.statuses.count(PASSED)

    @property
    def began(self) -> float:
        """Cluster seconds on the clock; the window begins here or a little later."""
        return min(reply.began for reply in self.replies)

    @property
    def seconds(self) -> float:
        """Cluster seconds from the first request to the last answer."""
        return _span(self.replies)


def in_one_window(
    platform: MaasPlatform, tier: str, send: Send, count: int, window: float, *, at_once: int = 1
) -> Burst:
    """``count`` requests of a new account within ``window`` cluster seconds.

    Args:
        platform: where.
        tier: of the account.
        send: makes one request.
        count: how many.
        window: length of the limit's window.
        at_once: how many at the same time.

    Raises:
        MaasFailure: an answer was neither 200 nor 429, or no burst was fast enough.
    """
    sent = 0
    for number in range(1, TRIES + 1):
        account = platform.accounts.fresh(tier)
        burst = Burst(account, tuple(_replies(send, account, count, at_once, window)), number)
        for reply in burst.replies:
            if reply.status not in (PASSED, REFUSED):
                raise MaasFailure("expected 200 or 429", wrong_answer(reply))
        sent = len(burst.replies)
        if sent == count and burst.seconds < window:
            return burst
    text = f"{sent} of {count} requests filled the window of {window:.0f} s, {TRIES} times: nothing to say about limits"
    raise MaasFailure(text, Judgement("gateway-wrong-answer", "a simulated cluster can run slower: --modelrt-speed=10"))


def exactly(platform: MaasPlatform, tier: str, send: Send, limit: int, window: float, *, beyond: int = 2) -> Burst:
    """One request after the other: the first ``limit`` pass, the next ``beyond`` are refused.

    Raises:
        MaasFailure: fewer pass, or more; says why as far as the platform shows it.
    """
    wanted = [PASSED] * limit + [REFUSED] * beyond
    burst = None
    for _ in range(BURSTS):
        burst = in_one_window(platform, tier, send, limit + beyond, window)
        if burst.statuses == wanted:
            return burst
        if burst.passed < limit:
            first = next(reply for reply in burst.replies if reply.status == REFUSED)
            text = f"only {burst.passed} of {limit} passed for {tier}"
            raise MaasFailure(text, Judgement("gateway-wrong-answer", f"refused too early: {first}"))
    assert burst is not None
    text = f"{burst.passed} of {len(burst.replies)} passed for {tier}, {limit} are allowed"
    raise MaasFailure(text, not_limited(platform, burst.account))


def about(platform: MaasPlatform, tier: str, send: Send, limit: int, window: float, *, at_once: int) -> Burst:
    """Many at once: between ``limit`` and ``limit + at_once`` pass, as the limiter looks and counts in two steps.

    Raises:
        MaasFailure: fewer pass, or more.
    """
    burst = None
    for _ in range(BURSTS):
        burst = in_one_window(platform, tier, send, limit + 2 * at_once, window, at_once=at_once)
        if limit <= burst.passed <= limit + at_once:
            return burst
    assert burst is not None
    text = f"{burst.passed} passed for {tier} with {at_once} at once; {limit} to {limit + at_once} are possible"
    raise MaasFailure(text, not_limited(platform, burst.account))


def wait_out(platform: MaasPlatform, began: float, window: float) -> None:
    """Sleep until a window that began by cluster second ``began`` at the latest is over."""
    clock = platform.clock
    clock.sleep(max(0.0, began + window - clock.monotonic()) + 1.0)


def _replies(send: Send, account: Account, count: int, at_once: int, window: float) -> list[Reply]:
    """In the order they came; fewer than ``count`` when the window was over before: the rest would prove nothing."""
    replies: list[Reply] = []

    def one(_: int) -> None:
        if not replies or _span(replies) < window:
            replies.append(send(account))

    if at_once == 1:
        for number in range(count):
            one(number)
    else:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, range(count)))
    return replies


def _span(replies: Sequence[Reply]) -> float:
    """Cluster seconds from the first request to the last answer."""
    return max(reply.ended for reply in replies) - min(reply.began for reply in replies)
