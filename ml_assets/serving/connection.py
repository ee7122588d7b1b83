"""A connection of the server: uvicorn's, with a bound for all that comes before anybody is known.

uvicorn and httptools take a head of any size, wait for it for ever, and take connections until the process has no
descriptor left. What is bounded here costs a request of an honest client less than a microsecond.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ml_assets.serving.connection_limits import HEADS, PATIENCE, QUEUED, ConnectionLimits
from ml_assets.serving.http import JSON, PROBLEM, WHOLE
from ml_assets.serving.problem import Problem, unavailable

HEAD = 64 << 10
"""Bytes of a head, its request line included; also of what stands between the parts of a chunked body, or after it."""

FIELDS = 200
"""Headers of a request."""

_OK = b"%b200 OK\r\ncontent-type: %b\r\ncontent-length: %%d\r\n\r\n%%b" % (b"HTTP/1.1 ", JSON)
_LINGER = 2.0  # seconds for which a client that was refused may go on sending
_MOST_DISCARDED = 1 << 20  # bytes of it that are taken


class Connection(HttpToolsProtocol):
    """The protocol of one client, made by uvicorn. See `HttpToolsProtocol` for its arguments."""

    flow: "_Flow"

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - whatever uvicorn hands over
        super().__init__(*given, **named)
        self.since: float | None = None
        """Since when it is the client's turn to begin or to go on; None: it is not, or the keep-alive clock runs."""
        self.stalled: float | None = None
        """Since when the client has not taken what it is answered."""
        self._limits = ConnectionLimits.of_server(self.server_state, self.loop)
        self._parsed = False  # whether something came out of the parser
        self._unparsed = 0  # bytes since then
        self._rest = b""  # what waits until the requests before it are answered
        self._refusal: Problem | None = None
        self._answered_last = False  # whether the last answer was given
        self._discarded = 0  # bytes that came since it was refused
        self._running: Any = None  # the request in hand; `cycle` is the last one that came

    @property
    def closing(self) -> bool:
        """True while it is being closed."""
        return self.transport.is_closing()

    def idle_since(self) -> float | None:
        """The time of the loop since which it has sent no request; None: one is in hand."""
        if self.since is not None or self.timeout_keep_alive_task is None:
            return self.since
        return self.timeout_keep_alive_task.when() - self.timeout_keep_alive

    def time_out(self) -> None:
        """The time for a head, or for the rest of a body that nobody reads, is over."""
        if self._in_head() and self._refusal is None:
            what = f"the head of the request did not come within {PATIENCE:g} s"
            self.refuse(Problem(408, "slow-head", what, "send it at once"))
        else:
            self.end()

    def end(self) -> None:
        """Close, or where that was done and the client does not take the rest, cut."""
        if self.closing:
            self.transport.abort()
        self.transport.close()

    def refuse(self, problem: Problem) -> None:
        """Refuse, once earlier requests are answered; whatever comes afterwards is ignored."""
        self._refusal, self._rest = problem, b""
        self._progress()
        reading = self._in_body() and not self.pipeline and not self.cycle.response_started
        if reading:  # who waits for this body need not wait any longer
            self.cycle.disconnected, self.cycle.waiting_for_100_continue = True, False
            self.cycle.message_event.set()
        if reading or not self._in_hand():
            self._answer_last(problem)

    # What the transport tells.

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn types it
        """A client has come: it has to say what it wants."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        if self._limits.enter():
            self.since = self.loop.time()
        else:
            self._answer_last(unavailable("busy", "the server has as many connections as it can hold", "try again"))
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client has gone."""
        self._limits.queued -= len(self.pipeline)
        self._progress()
        if self._running is not None and not self._running.response_complete:  # uvicorn tells the last that came
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come; of what is long, or comes while requests wait, one piece after the other."""
        self._unset_keepalive_if_required()
        if self._refusal is not None:
            self._discarded += len(data)
            if self._answered_last and self._discarded > _MOST_DISCARDED:
                self.end()
        elif self._rest or self.pipeline or len(data) > HEAD:
            self._rest += data
            self._go_on()
        else:
            self._feed(data)

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        self.stalled = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It takes it again."""
        self.stalled = None
        super().resume_writing()

    # What the parser tells. Raising makes it stop.

    def on_headers_complete(self) -> None:
        """The end of a head."""
        if len(self.headers) > FIELDS:
            raise _large()
        if self._limits.queued >= QUEUED and self._in_hand():
            raise unavailable("busy", f"{QUEUED} requests wait for those before them", "wait for answers")
        if self._unparsed:
            self._progress()
        self._parsed, self.since = True, None
        super().on_headers_complete()
        if self.pipeline:
            self._limits.queued += 1
        self.headers = []  # what comes as a trailer is not a header of the request

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        self._parsed = True
        super().on_body(body)

    # What the application tells.

    def on_response_complete(self) -> None:
        """An answer was sent."""
        if self.pipeline:
            self._limits.queued -= 1
        super().on_response_complete()
        if self.flow.holds or self._refusal is not None:
            self._unset_keepalive_if_required()
            self._go_on()
        # Of the next head, or of a body that nobody reads, more is to come; or the connection is being closed.
        if (self.cycle.more_body or self.timeout_keep_alive_task is None or self._in_head()) and not self._in_hand():
            self._wait()

    def _answer(self, body: bytes) -> bool:
        """Send an answer of 200 to the request in hand in one piece; false where uvicorn has more to look at."""
        cycle = self._running
        if cycle.response_started or cycle.disconnected or not cycle.keep_alive:
            return False
        if self.flow.write_paused or cycle.default_headers:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.write(_OK % (len(body), body))
        cycle.message_event.set()
        cycle.on_response()
        return True

    # Within.

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 - as uvicorn types them
        self._running = cycle
        cycle.scope["extensions"] = {WHOLE: self._answer}
        super()._start_asgi_task(cycle, app)

    def _in_head(self) -> bool:
        """Tell whether a head has begun: uvicorn makes the scope then, and a cycle of it at the head's end."""
        return self.scope is not None and (self.cycle is None or self.scope is not self.cycle.scope)

    def _in_body(self) -> bool:
        return self.cycle is not None and self.scope is self.cycle.scope and self.cycle.more_body

    def _in_hand(self) -> bool:
        """Tell whether a request is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        """It is the client's turn, and was before if the clock runs already."""
        if self.since is None:
            self.since = self.loop.time()

    def _progress(self) -> None:
        """Something came out of the parser."""
        self._limits.heads -= self._unparsed
        self._unparsed = 0

    def _go_on(self) -> None:
        """Parse what waits, but no further than to a request that has to wait for the one before it."""
        self.flow.hold()
        while self._rest and not self.pipeline and self._refusal is None:
            piece, self._rest = self._rest[:HEAD], self._rest[HEAD:]
            self._feed(piece)
        if self._refusal is not None:
            if not self._in_hand():
                self._answer_last(self._refusal)
        elif not self.pipeline:
            self.flow.release(full=self._in_hand() and len(self.cycle.body) > HIGH_WATER_LIMIT)

    def _feed(self, data: bytes) -> None:
        self._parsed = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # we speak nothing else, and what follows may be no HTTP
            self.cycle.keep_alive, self._refusal = False, _malformed("it asks for another protocol")
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse(cause if isinstance(cause, Problem) else _malformed(str(error)))
        else:
            cycle = self.cycle
            if cycle is None or cycle.more_body or cycle.response_complete or self.scope is not cycle.scope:
                self._bound(len(data))

    def _bound(self, size: int) -> None:
        """Bound what grows without a result: a head, blank lines before it, lengths and trailers of a chunked body."""
        if self._parsed:
            self._progress()
        else:
            self._unparsed += size
            self._limits.heads += size
        if self._unparsed > HEAD or (self._in_head() and len(self.headers) > FIELDS):
            self.refuse(_large())
        elif not self._in_hand():
            self._wait()
        if self._limits.heads > HEADS:
            self._limits.make_room()

    def _answer_last(self, problem: Problem) -> None:
        """The last answer. What still comes is thrown away for a while: else a reset would overtake the answer."""
        if self._answered_last or self.closing:
            return
        self._answered_last = True
        if self._in_body() and self.cycle.response_started:  # it was answered already
            self.end()
            return
        header_pairs = [(b"content-type", PROBLEM), (b"content-length", b"%d" % len(problem.body)), *problem.headers]
        lines = [b"%b: %b\r\n" % pair for pair in header_pairs if pair[0] != b"connection"]
        self.transport.write(
            b"".join([STATUS_LINE[problem.status], *lines, b"connection: close\r\n\r\n", problem.body])
        )
        self.transport.write_eof()
        self.flow.release(full=False)
        self.since = self.loop.time() - PATIENCE + _LINGER
        if (count := getattr(self.app, "count_refusal", None)) is not None:
            count(problem.status)


class _Flow(FlowControl):
    """Reads nothing more while it holds, though a request that waits for its body lets more in."""

    holds = False
    """True while nothing more is to be read."""

    def hold(self) -> None:
        """Until it lets go."""
        self.holds = True
        self.pause_reading()

    def release(self, *, full: bool) -> None:
        """Read again; where a body is full, once somebody has taken some of it."""
        self.holds = False
        if not full:
            self.resume_reading()

    def resume_reading(self) -> None:
        """Unless it holds."""
        if not self.holds:
            super().resume_reading()


def _large() -> Problem:
    what = f"the head of the request has more than {HEAD} bytes, or {FIELDS} headers"
    return Problem(431, "head-too-large", what, "send fewer or shorter headers")


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed-request", f"this is not HTTP/1.1: {why}", "send another request", field="$")
