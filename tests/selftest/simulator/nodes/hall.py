"""Nodes on an API server without controllers, and the real kubectl to look at them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.simulator.apiserver.server import ApiServer, ServerConfig
from pytest_modelrt.simulator.client import ApiClient
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.nodes import Nodes, Program, ProgramContext
from pytest_modelrt.simulator.scenario import Scenario

SPEED = 50.0
PATIENCE = 60.0
_T = TypeVar("_T")


def kubectls() -> list[str]:
    """The kubectl of the virtual environment and, if it is another one, that of the PATH."""
    own = Path(sys.executable).with_name("kubectl")
    found = [str(own)] if own.exists() else []
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != own.parent)
    other = shutil.which("kubectl", path=path)
    return found + ([other] if other else [])


async def echo(context: ProgramContext) -> int:
    """Serves its own name, and a large body, on port 8080."""
    app = web.Application()

    async def name(_request: web.Request) -> web.Response:
        return web.Response(text=f"I am {context.pod_name}")

    async def double(request: web.Request) -> web.Response:
        return web.Response(body=await request.read() * 2)

    app.router.add_get("/", name)
    app.router.add_post("/double", double)
    await context.serve(8080, app)
    context.log("listening")
    await asyncio.Event().wait()
    return 0


async def crash(context: ProgramContext) -> int:
    """Says which start it is, and dies as its arguments tell."""
    code, reason = int(context.env.get("CODE", "1")), context.env.get("REASON", "")
    context.log(f"start {context.start}\nboom")
    context.terminated_reason = reason
    return code


async def talk(context: ProgramContext) -> int:
    """Writes a line now and then."""
    for number in range(1000):
        context.log(f"line {number}")
        await context.clock.asleep(2)
    return 0


async def speak(context: ProgramContext) -> int:
    """Writes its arguments and ends."""
    context.log("\n".join(context.argv))
    return 0


PROGRAMS: dict[str, Program] = {"test/echo": echo, "test/crash": crash, "test/talk": talk, "test/speak": speak}


class Hall:
    """A running cluster, as seen from outside."""

    def __init__(self, kubeconfig: Path, ledger: Path) -> None:
        self.kubeconfig = kubeconfig
        self.ledger = ledger

    def kubectl(self, *words: str, binary: str = "", stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints (both streams when it may fail)."""
        done = subprocess.run(
            [binary or kubectls()[0], *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.env,
            timeout=PATIENCE,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(words)}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def until(self, look: Callable[[], _T | None], what: str) -> _T:
        """The first true thing ``look`` sees."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            seen = look()
            if seen:
                return seen
            threading.Event().wait(0.05)
        raise AssertionError(f"never: {what}")

    def events(self, pod: str, reason: str) -> list[str]:
        items = self.get("events", "--field-selector", f"involvedObject.name={pod},reason={reason}")["items"]
        return [item["message"] for item in items]

    def delete(self, *pods: str) -> None:
        self.kubectl("delete", "pod", "--force", "--grace-period=0", "--ignore-not-found", *pods)

    @contextmanager
    def port_forward(self, binary: str, target: str, *, websockets: bool) -> Iterator[str]:
        """Base URL of a local port forwarded to ``target``'s port 8080."""
        env = {**self.env, "KUBECTL_PORT_FORWARD_WEBSOCKETS": "true" if websockets else "false"}
        command = [binary, "port-forward", "--address", "127.0.0.1", target, ":8080"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert match, line
            try:
                yield f"http://127.0.0.1:{match.group(1)}"
            finally:
                process.terminate()
                process.stdout.close()


def pod(name: str, image: str = "test/idle", gpus: int = 0, **spec: Any) -> dict[str, Any]:
    """A pod with one container ``main``; ``container`` adds to it, ``labels`` to its metadata."""
    container = {"name": "main", "image": image, **spec.pop("container", {})}
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": spec.pop("labels", {})},
        "spec": {"containers": [container], **spec},
    }


@contextmanager
def hall(directory: Path, scenario: Scenario | None = None, nodes: int = 3) -> Iterator[Hall]:
    """Run the cluster in a thread of its own until the block ends."""
    scenario = scenario or Scenario()
    ready, ended = threading.Event(), threading.Event()
    failure: list[BaseException] = []

    async def main() -> None:
        server = ApiServer(ServerConfig(directory=directory, speed=SPEED))
        await server.start()
        certificate, key = server.issue_certificate("127.0.0.1", "localhost")
        (directory / "kubelet.crt").write_bytes(certificate)
        (directory / "kubelet.key").write_bytes(key)
        async with ApiClient(server.url, server.authority.client_context(), server.token("system:nodes")) as client:
            house = Nodes(
                client,
                ScaledClock(SPEED),
                scenario,
                Hub(),
                PROGRAMS,
                directory,
                certificate=(directory / "kubelet.crt", directory / "kubelet.key"),
                nodes=nodes,
            )
            await house.start()
            server.write_kubeconfig(directory / "kubeconfig")
            ready.set()
            await asyncio.to_thread(ended.wait)
            await house.stop()
        await server.stop()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="hall")
    thread.start()
    try:
        ready.wait(PATIENCE)
        if failure:
            raise failure[0]
        yield Hall(directory / "kubeconfig", directory / "ledger.jsonl")
    finally:
        ended.set()
        thread.join(PATIENCE)
    assert not failure
