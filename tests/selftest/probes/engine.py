"""A small real HTTP server that answers like an engine, and pictures it can look at."""

from __future__ import annotations

import base64
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


class Engine(BaseHTTPRequestHandler):
    """Serves ``name``; refuses other names the way most engines do, unless ``lax``."""

    name = "meta-llama/Llama-3.1-8B-Instruct"
    lax = False

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._say((200, {"object": "list", "data": [{"id": self.name, "object": "model"}]}))
        elif self.path.startswith("/v1/models/") and self.path != f"/v1/models/{self.name}":
            self._say((404, {"error": {"message": "The model does not exist"}}))
        else:
            self._say((200, {"id": self.name}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.lax and body.get("model", self.name) != self.name:
            self._say((404, {"error": {"message": f"The model `{body['model']}` does not exist."}}))
            return
        handler = {
            "/v1/chat/completions": chat,
            "/v1/completions": completions,
            "/v1/embeddings": embeddings,
            "/v1/rerank": rerank,
            "/classify": classify,
        }.get(self.path)
        self._say(handler(body) if handler else (404, {"detail": "Not Found"}))

    def _say(self, answer: Answer) -> None:
        status, body = answer
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


def chat(body: dict[str, Any]) -> Answer:
    content = body["messages"][-1]["content"]
    text = "I am a language model."
    if isinstance(content, list):
        text = look(content[0]["image_url"]["url"])
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 12, "completion_tokens": 6}
    return 200, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


def completions(body: dict[str, Any]) -> Answer:
    return 200, {"choices": [{"text": f"{body['prompt']} Ada and I write code.", "finish_reason": "length"}]}


def embeddings(body: dict[str, Any]) -> Answer:
    rows = []
    for place, item in enumerate(body["input"]):
        text = item if isinstance(item, str) else item["text"] + look(item["image"])
        vector = [float("cat" in text.lower()), float("rate" in text), float(len(text)) / 100]
        rows.append({"object": "embedding", "index": place, "embedding": [*vector, float("red" in text)]})
    return 200, {"object": "list", "data": rows}


def rerank(body: dict[str, Any]) -> Answer:
    words = set(body["query"].lower().strip("?").split())
    scored = [
        {"index": place, "document": text, "score": len(words & set(text.lower().strip(".").split())) / 10}
        for place, text in enumerate(body["documents"])
    ]
    return 200, sorted(scored, key=lambda entry: -float(str(entry["score"])))


def classify(body: dict[str, Any]) -> Answer:
    good = ("equals", "boiling", "love")
    scores = [1.5 if any(word in text for word in good) else -2.0 for text in body["text"]]
    return 200, [{"embedding": [score], "meta_info": {}} for score in scores]


def look(url: str) -> str:
    """Decode a PNG of eight-bit RGB with unfiltered rows; name its colour, or say what kind of page it is."""
    data = base64.b64decode(url.split(",", 1)[1])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, width, packed = 8, 0, b""
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, chunk = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + chunk)
        if kind == b"IHDR":
            width = struct.unpack(">I", chunk[:4])[0]
        packed += chunk if kind == b"IDAT" else b""
        place += 12 + length
    raw = zlib.decompress(packed)
    rows = [raw[start + 1 : start + 1 + 3 * width] for start in range(0, len(raw), 3 * width + 1)]
    pixels = {row[spot : spot + 3] for row in rows for spot in range(0, len(row), 3)}
    if pixels == {b"\x00\x00\x00", b"\xff\xff\xff"}:
        return "The page says: hello 2741"
    (red, _green, blue) = next(iter(pixels))
    return "Red." if red > blue else "Blue."


@contextmanager
def serving(handler: type[Engine]) -> Iterator[str]:
    """Run the engine on a free port; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
