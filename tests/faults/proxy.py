"""Between everybody and the server: knows each command, and can lose the request or the reply of one.

    proxy.record(); …a flow…; commands = proxy.recorded()
    proxy.lose(commands[17], Loss.REPLY); …the same flow…; assert proxy.has_lost

A command is known by who sends it, what it does and to what, and the how-manieth of its kind it is: that holds in the
next flow, too, where ids, ports and the order of processes differ.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from pathlib import Path

    from firexkit.runtime.server import Server

SIMPLE: Final = b"+-:_,#("
BULK: Final = b"$!="
SEVERAL: Final = {b"*": 1, b"~": 1, b">": 1, b"%": 2}
"""Elements for each that is counted."""
TOLD_UNASKED: Final = frozenset({b"message", b"pmessage", b"smessage", b"invalidate"})
SUBSCRIPTIONS: Final = frozenset({"SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"})
SCRIPTS: Final = frozenset({"EVAL", "EVALSHA"})
_ID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12,}")
_NUMBER: Final = re.compile(r"\d+")
_STATUS: Final = re.compile(rb'^\{"status": "(\w+)"')
_TASK: Final = re.compile(rb'"task": "([\w.]+)"')


class Loss(Enum):
    """What is lost of a command; the connection is, too."""

    REQUEST = "request"
    """The server never hears of it."""
    REPLY = "reply"
    """The server has done it, and who asked never hears so."""


@dataclass(frozen=True)
class Command:
    """One command of a flow: what it is, and the how-manieth of these, from 1."""

    text: str
    nth: int

    def __str__(self) -> str:
        return f"{self.text} #{self.nth}"


@dataclass
class Message:
    """One request or reply, with its elements if it has some."""

    raw: bytes
    kind: bytes
    items: list[Any] = field(default_factory=list)

    @property
    def is_unasked(self) -> bool:
        """Whether it answers no command."""
        return bool(self.items) and self.items[0] in TOLD_UNASKED


@dataclass
class Link:
    """A connection through the proxy."""

    role: str
    expected: int = 0
    """Replies to all requests so far."""
    replied: int = 0
    lost: int | None = None
    """The reply that does not arrive, by its number."""


class _CutError(Exception):
    """The connection ends here."""


class Proxy:
    """What clients connect to instead of the server.

    Args:
        server: the server.

    Attributes:
        role_of: who a process is, by its id.
        has_lost: whether what was to be lost was lost.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: Path = server.directory / "p"
        self.url = server.url.replace(quote(str(server.socket)), quote(str(self._socket)))
        self.role_of: Callable[[int], str] = str
        self.has_lost = False
        self._seen: list[Command] = []
        self._counts: Counter[str] = Counter()
        self._target: tuple[Command, Loss] | None = None
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._listen(),), daemon=True)

    # ── what a test says ──────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()
        assert self._listens.wait(10), "the proxy does not listen"

    def stop(self) -> None:
        """End all connections."""
        if self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(10)
        self._loop.close()

    def record(self) -> None:
        """Note the commands from now on."""
        self._begin(None)

    def recorded(self) -> list[Command]:
        """The commands since :meth:`record`, in the order in which they came."""
        return list(self._seen)

    def lose(self, command: Command, loss: Loss) -> None:
        """Count anew, and lose the request or the reply of a command when it comes."""
        self._begin((command, loss))

    def _begin(self, target: tuple[Command, Loss] | None) -> None:
        self._target, self._seen, self._counts, self.has_lost = target, [], Counter(), False

    # ── what it does ──────────────────────────────────────────────────────────────────────

    async def _listen(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_unix_server(self._serve, self._socket)
        self._listens.set()
        await self._over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, client: StreamReader, to_client: StreamWriter) -> None:
        link = Link(self.role_of(_pid_behind(to_client)))
        writers = [to_client]
        try:
            server, to_server = await asyncio.open_unix_connection(self._server.socket)
            writers.append(to_server)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._requests(link, client, to_server))
                both.create_task(self._replies(link, server, to_client))
        except* (_CutError, OSError, EOFError):
            pass
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _requests(self, link: Link, client: StreamReader, to_server: StreamWriter) -> None:
        while True:
            message = await read_message(client)
            loss = self._met(link, message.items)
            if loss is Loss.REQUEST:
                raise _CutError
            first = link.expected
            link.expected += _replies_to(message.items)
            if loss is Loss.REPLY:
                link.lost = first
            to_server.write(message.raw)
            await to_server.drain()
            if loss is Loss.REPLY:
                return

    async def _replies(self, link: Link, server: StreamReader, to_client: StreamWriter) -> None:
        while True:
            message = await read_message(server)
            if not message.is_unasked:
                if link.replied == link.lost:
                    raise _CutError
                link.replied += 1
            to_client.write(message.raw)
            await to_client.drain()

    def _met(self, link: Link, words: list[Any]) -> Loss | None:
        """Note a command; what is to be lost of it."""
        text = f"{link.role} {described(words)}"
        self._counts[text] += 1
        command = Command(text, self._counts[text])
        self._seen.append(command)
        if self._target is None or self.has_lost or self._target[0] != command:
            return None
        self.has_lost = True
        return self._target[1]


async def read_message(stream: StreamReader) -> Message:
    """The next request or reply, in the second or third version of the protocol."""
    line = await stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind = line[:1]
    if kind in SIMPLE:
        return Message(line, kind)
    size = int(line[1:])
    if kind in BULK:
        text = await stream.readexactly(size + 2) if size >= 0 else b""
        return Message(line + text, kind, [text[:-2]])
    parts = [await read_message(stream) for _ in range(max(0, size) * SEVERAL[kind])]
    items = [part.items[0] if part.kind in BULK else part.raw for part in parts]
    return Message(line + b"".join(part.raw for part in parts), kind, items)


def _replies_to(words: list[Any]) -> int:
    is_subscription = _name(words) in SUBSCRIPTIONS
    return max(1, len(words) - 1) if is_subscription else 1


def _name(words: list[Any]) -> str:
    return words[0].decode().upper() if words else ""


def described(words: list[Any]) -> str:
    """What a command does and to what, without what differs from flow to flow."""
    name = _name(words)
    about = [_plain(word) for word in words[1 : 3 if name == "HSET" else 2]]
    if name in SCRIPTS and len(words) > 3:
        about = [_plain(words[3]), f"script {zlib.crc32(words[1]):08x}"]
    found = (pattern.search(word) for word in words[2:] for pattern in (_STATUS, _TASK))
    about.extend(match[1].decode() for match in found if match)
    return " ".join([name, *about])


def _plain(word: bytes) -> str:
    text = word.decode(errors="replace").partition("\n")[0][:80]
    return _NUMBER.sub("0", _ID.sub("<id>", text))


def _pid_behind(writer: StreamWriter) -> int:
    with suppress(OSError):
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", peer)[0])
    return 0
