"""Tells a reader of the logs, the decoder, that there are new ones; the followers never wait for it."""

import asyncio
import time
from collections.abc import Callable

from guelta.errors import CursorMoved

# In a backfill a commit comes every second or so, and a run of the decoder costs about as much for few blocks as for
# many; a minute keeps its share of the work small. At the tip there is nothing to save: it is told after every tick.
EVERY_S = 60.0
_AGAIN_S = 2.0


class News:
    """One telling at a time; what is committed meanwhile is told together.

    Args:
        reader: called in a thread of its own, without arguments.
        clock: seconds, monotonic.
    """

    def __init__(self, reader: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._reader, self._clock = reader, clock
        self._news, self._closed = asyncio.Event(), asyncio.Event()
        self._told_at = clock()

    def committed(self, *, caught_up: bool) -> None:
        """Logs were committed: the last of a tick (``caught_up``), or with more to come."""
        if caught_up or self._clock() - self._told_at >= EVERY_S:
            self._told_at = self._clock()
            self._news.set()

    def close(self) -> None:
        """Nothing more comes; what was not told yet is told before ``tell`` returns."""
        self._closed.set()

    async def tell(self) -> None:
        """Call the reader for each piece of news, until closed. Its failure is raised here."""
        while await self._next():
            self._news.clear()
            try:
                await asyncio.to_thread(self._reader)
            except CursorMoved:  # somebody else decodes this lake; what it did not see is still to be read
                await asyncio.sleep(_AGAIN_S)
                self._news.set()

    async def _next(self) -> bool:
        closed, news = (asyncio.ensure_future(event.wait()) for event in (self._closed, self._news))
        await asyncio.wait((closed, news), return_when=asyncio.FIRST_COMPLETED)
        for waiting in (closed, news):
            waiting.cancel()
        return self._news.is_set()
