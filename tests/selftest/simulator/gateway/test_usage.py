"""Token counts as the gateway reads them from replies."""

from __future__ import annotations

import pytest

from pytest_modelrt.simulator.gateway.usage import UsageReader

PIECE = b'data: {"usage":null,"choices":[{"delta":{"content":"hi"}}]}\n\n'
USAGE = b'data: {"usage":{"total_tokens":42},"choices":[]}\n\n'
DONE = b"data: [DONE]\n\n"


def read(body: bytes, content_type: str, size: int = 7) -> int | None:
    reader = UsageReader(content_type)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    return reader.total_tokens()


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"usage":{"prompt_tokens":6,"completion_tokens":5,"total_tokens":11}}', 11),
        (b'{"object":"list","data":[]}', None),
        (b"Not Found", None),
        (b"", None),
        (b'{"usage":null}', None),
        (b"[1]", None),
    ],
)
def test_documents(body: bytes, tokens: int | None) -> None:
    assert read(body, "application/json") == tokens


@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_streams_count_by_the_frame_before_the_end(size: int) -> None:
    assert read(PIECE * 3 + USAGE + DONE, "text/event-stream", size) == 42


@pytest.mark.parametrize("body", [PIECE * 3 + DONE, PIECE + USAGE, USAGE + PIECE + DONE, DONE])
def test_streams_without_usage_before_the_end_count_nothing(body: bytes) -> None:
    assert read(body, "text/event-stream") is None
