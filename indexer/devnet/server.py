"""The chain's JSON-RPC door on loopback: HTTP for requests, WebSocket for subscriptions too."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import msgspec
from aiohttp import WSMsgType, web
from aiohttp.typedefs import Middleware

from guelta.errors import BadSetting
from indexer.devnet.blocks import Block, Source, matching
from indexer.devnet.methods import BeyondHead, Handler, wanted


class Server:
    """A running server; ``url`` for HTTP, ``ws_url`` for subscriptions."""

    def __init__(self, source: Source, port: int) -> None:
        self.source = source
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"


@contextmanager
def serve(
    source: Source, port: int = 0, *, beyond_head: BeyondHead = "error", middlewares: Sequence[Middleware] = ()
) -> Iterator[Server]:
    """Serve a devnet or a recording from a thread of its own until the block ends.

    Args:
        source: the chain; it may go on sealing blocks meanwhile.
        port: 0 takes a free one.
        beyond_head: what eth_getLogs says to a range above the head.
        middlewares: aiohttp middlewares in front of every request, for tests that want a bad provider.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise BadSetting(
            f"port {port} on 127.0.0.1 is not free ({error.strerror}); use another, or 0 for any"
        ) from None
    door = _Door(Handler(source, beyond_head))
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(door.run(listening, middlewares, ready, stop),), daemon=True
    )
    thread.start()
    ready.wait()
    source.listeners.append(door.hear)
    try:
        yield Server(source, listening.getsockname()[1])
    finally:
        source.listeners.remove(door.hear)
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class _Door:
    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.source = handler.source
        self.ids = count(1)
        self.subscriptions: dict[str, tuple[asyncio.Queue[bytes], str, dict[str, Any]]] = {}

    async def run(
        self, listening: socket.socket, middlewares: Sequence[Middleware], ready: threading.Event, stop: asyncio.Event
    ) -> None:
        self.loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=2**26, middlewares=middlewares)
        app.router.add_post("/", self.post)
        app.router.add_get("/", self.websocket)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    async def post(self, request: web.Request) -> web.Response:
        return web.Response(body=self.handler.respond(await request.read()), content_type="application/json")

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket_ = web.WebSocketResponse(max_msg_size=2**26)
        await socket_.prepare(request)
        outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        mine: set[str] = set()
        writer = asyncio.create_task(_write(socket_, outgoing))
        try:
            async for message in socket_:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    outgoing.put_nowait(self._subscribe(message.data, outgoing, mine))
        finally:
            for key in mine:
                self.subscriptions.pop(key, None)
            writer.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await writer
        return socket_

    def hear(self, what: str, blocks: Sequence[Block]) -> None:
        """Called by the chain, from whichever thread seals."""
        with suppress(RuntimeError):  # the loop has closed meanwhile
            self.loop.call_soon_threadsafe(self._push, what, blocks)

    def _subscribe(self, data: str | bytes, outgoing: asyncio.Queue[bytes], mine: set[str]) -> bytes:
        body = data.encode() if isinstance(data, str) else data
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.handler.respond(body)
        method = request.get("method") if isinstance(request, dict) else None
        if method == "eth_subscribe":
            kind, *rest = request.get("params") or [""]
            if kind not in ("newHeads", "logs"):
                error = {"code": -32602, "message": f"unsupported subscription {kind!r}: newHeads or logs"}
                return msgspec.json.encode({"jsonrpc": "2.0", "id": request.get("id"), "error": error})
            key = hex(next(self.ids))
            mine.add(key)
            self.subscriptions[key] = (outgoing, kind, rest[0] if rest else {})
            result: str | bool = key
        elif method == "eth_unsubscribe":
            result = self.subscriptions.pop((request.get("params") or [""])[0], None) is not None
        else:
            return self.handler.respond(body)
        return msgspec.json.encode({"jsonrpc": "2.0", "id": request.get("id"), "result": result})

    def _push(self, what: str, blocks: Sequence[Block]) -> None:
        for key, (outgoing, kind, query) in self.subscriptions.items():
            if kind == "newHeads" and what == "head":
                for block in blocks:
                    outgoing.put_nowait(_notification(key, msgspec.json.encode(self.source.pushed(block))))
            if kind == "logs":
                addresses, topics = wanted(query)
                # Newest first when they go: a client undoes in the reverse order of what it did.
                for block in reversed(blocks) if what == "removed" else blocks:
                    for log in matching(block.logs, addresses, topics):
                        gone = log.replace(b'"removed":false', b'"removed":true') if what == "removed" else log
                        outgoing.put_nowait(_notification(key, gone))


async def _write(socket_: web.WebSocketResponse, outgoing: asyncio.Queue[bytes]) -> None:
    while True:
        await socket_.send_str((await outgoing.get()).decode())


def _notification(key: str, result: bytes) -> bytes:
    params = b'{"subscription":"' + key.encode() + b'","result":' + result + b"}"
    return b'{"jsonrpc":"2.0","method":"eth_subscription","params":' + params + b"}"
