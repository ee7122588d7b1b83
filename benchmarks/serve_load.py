"""Closed-loop load by wrk: each of its connections sends the next request when the last one is answered."""

import http.client
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.process import BenchmarkError
from benchmarks.serve_process import Server

CONNECTIONS = 32

# The requests are formatted before the clock starts. `done` runs once, with all latencies in microseconds.
_SCRIPT = """
local bodies = {BODIES}
local requests, last = {}, 0

function init(args)
   for i, body in ipairs(bodies) do
      requests[i] = wrk.format("POST", PATH, {["Content-Type"] = "application/json", ["Host"] = wrk.host}, body)
   end
end

function request()
   last = last % #requests + 1
   return requests[last]
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


def load(server: Server, path: str, bodies: Sequence[str], seconds: int) -> Load:
    """Load a server for some seconds.

    Raises:
        BenchmarkError: a request failed, or was answered by an error.
    """
    before = server.cpu()
    found = _wrk(server.port, path, bodies, seconds)
    spent, answered = server.cpu() - before, found["requests"]
    if found["errors"] or not answered:
        raise BenchmarkError(f"{found['errors']:.0f} errors in {answered:.0f} requests to {path}:\n{server.output()}")
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


def _wrk(port: int, path: str, bodies: Sequence[str], seconds: int) -> dict[str, float]:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchmarkError("wrk is not installed: `apt-get install wrk`, or https://github.com/wg/wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        quoted = ", ".join(f"[==[{body}]==]" for body in bodies)
        script.write(_SCRIPT.replace("BODIES", quoted).replace("PATH", f"[==[{path}]==]"))
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
