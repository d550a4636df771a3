"""Numbers out: embeddings, reranking, reward and class scores."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from pytest_modelrt.simulator.nodes.engines import numbers
from pytest_modelrt.simulator.nodes.engines.arguments import Role
from pytest_modelrt.simulator.nodes.engines.errors import NOT_EMBEDDING, NOT_RERANKING, EngineError
from pytest_modelrt.simulator.nodes.engines.requests import check_length, check_model, read_json, read_texts, see
from pytest_modelrt.simulator.nodes.engines.state import EngineState
from pytest_modelrt.simulator.nodes.engines.text import count_tokens

Vector = list[float | None]


class Scoring:
    """Handlers of a model that does not generate."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    async def embeddings(self, request: web.Request) -> web.Response:
        """``POST /v1/embeddings``."""
        body = await read_json(request)
        check_model(self._state, body)
        if self._state.role is Role.GENERATE:
            raise EngineError(NOT_EMBEDDING)
        texts = self._inputs(body.get("input"))
        lengths = self._lengths(texts)
        await self._state.work()
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(self._vector(text), body)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": sum(lengths), "completion_tokens": 0, "total_tokens": sum(lengths)}
        return web.json_response({"object": "list", "data": data, "model": self._state.served_name, "usage": usage})

    async def rerank(self, request: web.Request) -> web.Response:
        """``POST /v1/rerank``: best document first."""
        body = await read_json(request)
        check_model(self._state, body)
        if self._state.role is not Role.RERANK:
            raise EngineError(NOT_RERANKING)
        query = body.get("query")
        if not isinstance(query, str) or not query.strip():
            raise EngineError("Query cannot be empty or whitespace only", param="query")
        documents = read_texts(body.get("documents"), "documents")
        lengths = self._lengths([f"{query} {document}" for document in documents])
        await self._state.work()
        entries = [
            {
                "score": self._score(numbers.relevance(query, document)),
                "document": document,
                "index": index,
                "meta_info": {"prompt_tokens": lengths[index]},
            }
            for index, document in enumerate(documents)
        ]
        return web.json_response(sorted(entries, key=lambda entry: -float(entry["score"] or 0.0)))

    async def classify(self, request: web.Request) -> web.Response:
        """``POST /classify`` (and ``/encode``): one vector per text, of one number for a reward model."""
        body = await read_json(request)
        check_model(self._state, body)
        if self._state.role is Role.GENERATE:
            raise EngineError(NOT_EMBEDDING)
        texts = read_texts(body.get("text", body.get("input")), "text")
        lengths = self._lengths(texts)
        await self._state.work()
        entries = [
            {"embedding": self._vector(text), "meta_info": {"prompt_tokens": length, "cached_tokens": 0}}
            for text, length in zip(texts, lengths, strict=True)
        ]
        single = isinstance(body.get("text", body.get("input")), str)
        return web.json_response(entries[0] if single else entries)

    def _inputs(self, value: Any) -> list[str]:
        """Texts of an embedding request; a picture counts as what is seen in it."""
        entries = [value] if isinstance(value, dict) else value
        if not isinstance(entries, list) or not any(isinstance(entry, dict) for entry in entries):
            return read_texts(value, "input")
        texts = []
        for entry in entries:
            if not isinstance(entry, dict):
                raise EngineError("All items in input must be of the same kind", param="input")
            words = str(entry.get("text") or "")
            if entry.get("image"):
                seen = see(self._state, entry["image"])
                words = f"{words} picture {seen.colour} {seen.text}"
            texts.append(words)
        return texts

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        lengths = [count_tokens(text) for text in texts]
        for length in lengths:
            check_length(self._state, length)
        self._state.count(sum(lengths))
        return lengths

    def _vector(self, text: str) -> Vector:
        if self._state.role in (Role.SCORE, Role.RERANK):
            return [self._score(numbers.reward(text))]
        if self._state.role is Role.CLASSIFY:
            return [self._score(value) for value in numbers.classes(text)]
        vector: Vector = list(numbers.embed(text, self._state.repo.embedding_width))
        match self._state.generation.embedding:
            case "nan":
                return [None] * len(vector)
            case "zero":
                return [0.0] * len(vector)
            case "short":
                return vector[:1]
        return vector

    def _score(self, value: float) -> float | None:
        """NaN is written as null, as JSON has no word for it."""
        return {"nan": None, "zero": 0.0}.get(self._state.generation.embedding or "", value)


def _encoded(vector: Vector, body: dict[str, Any]) -> Vector | str:
    """The official client asks for base64 of little-endian floats unless told otherwise."""
    if body.get("encoding_format") != "base64":
        return vector
    values = [float("nan") if value is None else value for value in vector]
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode("ascii")
