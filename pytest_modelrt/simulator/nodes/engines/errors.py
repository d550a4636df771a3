"""Errors in the shape SGLang's OpenAI-compatible server gives them."""

from __future__ import annotations

import json

from aiohttp import web


class EngineError(Exception):
    """A request is refused; carries the answer."""

    def __init__(
        self, message: str, status: int = 400, kind: str = "BadRequestError", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param

    def response(self) -> web.Response:
        """The HTTP answer."""
        body = {
            "object": "error",
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.status,
        }
        return web.Response(status=self.status, body=json.dumps(body).encode(), content_type="application/json")


def unknown_model(name: str) -> EngineError:
    """404 for a model that is not served."""
    return EngineError(f"The model '{name}' does not exist", 404, "NotFoundError", "model")


def too_long(length: int, limit: int) -> EngineError:
    """400 for more tokens than the context holds."""
    return EngineError(f"The input ({length} tokens) is longer than the model's context length ({limit} tokens).")


NO_TEMPLATE = (
    "Cannot use chat template functions because tokenizer.chat_template is not set and no template argument was "
    "passed! For information about writing templates and setting the tokenizer.chat_template attribute, please see "
    "the documentation at https://huggingface.co/docs/transformers/main/en/chat_templating"
)
NOT_EMBEDDING = (
    "This model does not appear to be an embedding model by default. Please add `--is-embedding` when launching the "
    "server or try another model."
)
NOT_GENERATING = "This model is an embedding model and does not support text generation."
NOT_RERANKING = "This model does not appear to be a cross-encoder model, which /v1/rerank needs."
NO_PICTURES = "This model does not accept images: image_url parts are not supported."
