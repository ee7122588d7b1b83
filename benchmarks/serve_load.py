"""Closed-loop load by wrk: each of its connections sends the next request when the last one is answered."""

import http.client
import json
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.process import BenchmarkError
from benchmarks.serve_process import Server

CONNECTIONS = 32
NEW = "@NEW@"
"""Stands in a body for a name that no other request has."""

# Requests without a new name are formatted before the clock starts. `done` runs once, with all latencies in
# microseconds.
_SCRIPT = """
local bodies, paths = {BODIES}, {PATHS}
local requests, last, sent = {}, 0, 0

local function format(i, body)
   return wrk.format("POST", paths[i], {["Content-Type"] = "application/json", ["Host"] = wrk.host}, body)
end

function init(args)
   for i, body in ipairs(bodies) do
      if not body:find(NEW) then requests[i] = format(i, body) end
   end
end

function request()
   last, sent = last % #bodies + 1, sent + 1
   return requests[last] or format(last, (bodies[last]:gsub(NEW, "RUN-" .. sent)))
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\\nFOUND {"requests": %d, "duration": %d, "p50": %f, "p99": %f, "errors": %d}\\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      e.connect + e.read + e.write + e.status + e.timeout
   ))
end
"""


@dataclass(frozen=True)
class Load:
    """What a server did under load.

    Args:
        requests: that were answered.
        rate: of them, a second.
        p50: milliseconds of the median answer.
        p99: milliseconds of which 99 of 100 answers took less.
        cpu: microseconds of processors a request, of all processes of the server.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    cpu: float


def load(server: Server, path: str | Sequence[str], bodies: Sequence[str], seconds: int) -> Load:
    """Load a server for some seconds.

    Args:
        server: under way.
        path: of all requests, or of each body.
        bodies: sent in turn; `NEW` in one is another name each time.
        seconds: for which it is loaded.

    Raises:
        BenchmarkError: a request failed, or was answered by an error.
    """
    before = server.cpu()
    paths = [path] * len(bodies) if isinstance(path, str) else path
    found = _wrk(server.port, paths, bodies, seconds)
    spent, answered = server.cpu() - before, found["requests"]
    if found["errors"] or not answered:
        where = ", ".join(dict.fromkeys(paths))
        raise BenchmarkError(f"{found['errors']:.0f} errors in {answered:.0f} requests to {where}:\n{server.output()}")
    rate = answered / found["duration"] * 1e6
    return Load(int(answered), rate, found["p50"] / 1e3, found["p99"] / 1e3, spent / answered * 1e6)


def post(port: int, path: str, body: str) -> tuple[int, bytes]:
    """Status and body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _wrk(port: int, paths: Sequence[str], bodies: Sequence[str], seconds: int) -> dict[str, float]:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchmarkError("wrk is not installed: `apt-get install wrk`, or https://github.com/wg/wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_script(paths, bodies))
        script.flush()
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s"]
        done = subprocess.run(
            [*command, script.name, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False
        )
    found = done.stdout.rpartition("FOUND ")[2].partition("\n")[0]
    if done.returncode or not found:
        raise BenchmarkError(f"wrk ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    answer: dict[str, float] = json.loads(found)
    return answer


def _script(paths: Sequence[str], bodies: Sequence[str]) -> str:
    def quoted(texts: Sequence[str]) -> str:
        return ", ".join(f"[==[{text}]==]" for text in texts)

    script = _SCRIPT.replace("NEW", f"[==[{NEW}]==]").replace("RUN", uuid.uuid4().hex)
    return script.replace("{PATHS}", f"{{{quoted(paths)}}}").replace("{BODIES}", f"{{{quoted(bodies)}}}")
