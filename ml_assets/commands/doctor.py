"""`ml-assets doctor`: what could be wrong with this installation, and what to do about it."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from importlib.metadata import metadata
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from ml_assets.commands.file_modes import others_may
from ml_assets.commands.finding import Finding, Status
from ml_assets.commands.packages import packages
from ml_assets.commands.progress import Show
from ml_assets.commands.screen import echo
from ml_assets.commands.telemetry_traces import traces
from ml_assets.commands.titled_table import Line, print_table
from ml_assets.commands.writable import obstacle
from ml_assets.redaction import redact
from ml_assets.settings import PROJECT, Settings
from ml_assets.telemetry import OFF

LITTLE, TOO_LITTLE = 5, 1
"""GB free at the data folder."""

FRESH = 120
"""Seconds after which a daemon that has not said that it lives is taken for dead."""

_COLOURS: Mapping[Status, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


Check = Callable[[], Finding]


def run_checks(settings: Settings, progress: Show) -> list[Finding]:
    """The findings of every check; `progress` is told the check, those done and all of them."""
    findings, by_name = [], checks(PROJECT, settings, time.time())
    for done, (name, check) in enumerate(by_name.items()):
        progress(name, done, len(by_name))
        findings.append(examine(name, check))
    return findings


def say(findings: Sequence[Finding], *, as_json: bool) -> bool:
    """Print the findings as a table or as one JSON object; whether nothing failed."""
    healthy = all(finding.status != "fail" for finding in findings)
    if as_json:
        echo(json.dumps({"healthy": healthy, "findings": [asdict(finding) for finding in findings]}))
    else:
        print_table("", table(findings))
    return healthy


def checks(project: Path, settings: Settings, now: float) -> dict[str, Check]:
    """Everything that is looked at, by name. `now` is in seconds since 1970."""
    return {
        "python": python,
        "packages": partial(packages, project / "uv.lock"),
        "telemetry": telemetry,
        "disk": partial(disk, settings.data),
        "drop zone": partial(drop_zone, settings.incoming),
        "file modes": partial(file_modes, settings.data),
        "dagster": partial(dagster, settings.dagster),
        "mlflow": partial(mlflow, settings),
        "online store": partial(online_store, settings),
        "event store": partial(event_store, settings),
        "daemon": partial(daemon, now),
        "code location": partial(code_location, project),
        "left over": partial(left_over, settings, project / "ml_assets" / "defs"),
    }


def examine(name: str, check: Check) -> Finding:
    """The finding of a check; a check that breaks is one, too."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - the doctor reports whatever is broken, it does not break of it
        message = redact(" ".join(str(error).split()))[:400]
        return Finding(name, "fail", f"{type(error).__name__}: {message}", "put right what the message names")


def python() -> Finding:
    """Whether this Python is one that the project supports."""
    from packaging.specifiers import SpecifierSet

    version = ".".join(map(str, sys.version_info[:3]))
    supported = str(metadata("ml-assets")["Requires-Python"])
    if version in SpecifierSet(supported):
        return Finding("python", "ok", version)
    return Finding(
        "python", "fail", f"{version}, and {supported} is needed", "make the environment with another Python"
    )


def telemetry() -> Finding:
    """Whether the telemetry of every library is off: the variables, and what the one leaves that begins at once."""
    import dagster as dg

    from ml_assets.documents.sandbox import environment

    on = [
        f"{name} is {os.environ.get(name, 'not set')}" for name, value in OFF.items() if os.environ.get(name) != value
    ]
    for who, variables in (("a command", os.environ), ("a reader of files", environment())):
        if left := traces(variables):
            on.append(f"ONNX Runtime, imported by {who}, leaves {', '.join(left)}")
    with dg.DagsterInstance.get() as instance:
        if instance.telemetry_enabled:
            on.append("dagster.yaml does not say telemetry: {enabled: false}")
    if not on:
        sentence = (
            "off in dagster.yaml and for commands and readers of files; ONNX Runtime was imported and left no trace"
        )
        return Finding("telemetry", "ok", sentence)
    return Finding("telemetry", "fail", ", ".join(on), "restore dagster.yaml; do not unset these variables")


def disk(data: Path) -> Finding:
    """Whether there is room at the data folder, and whether it and the temporary folder can be written."""
    if problem := obstacle(data):
        return Finding("disk", "fail", *problem)
    free = shutil.disk_usage(data).free / 1e9
    status: Status = "fail" if free < TOO_LITTLE else "warn" if free < LITTLE else "ok"
    remedy = "" if status == "ok" else "make room, or move the folder (ML_ASSETS_DATA)"
    return Finding("disk", status, f"{free:,.1f} GB free at {data}", remedy)


def drop_zone(incoming: Path) -> Finding:
    """Whether files can be delivered."""
    try:
        with tempfile.TemporaryFile(dir=incoming):
            return Finding("drop zone", "ok", f"{incoming} can be written")
    except OSError as error:
        remedy = "make the folder and let this user write there, or set ML_ASSETS_DATA"
        return Finding("drop zone", "fail", f"{incoming}: {error.strerror or error}", remedy)


def file_modes(data: Path) -> Finding:
    """Whether others on this machine may read what the loop has written."""
    paths = others_may(data)
    if not paths:
        return Finding("file modes", "ok", f"nobody but this user may read {data}")
    names = ", ".join(path.name for path in paths)
    return Finding("file modes", "warn", f"others may enter or read {names} in {data}", f"`chmod -R go= {data}`")


def dagster(home: Path) -> Finding:
    """Whether the Dagster instance answers."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs_count()
    return Finding("dagster", "ok", f"{runs} runs are recorded in {home}")


def mlflow(settings: Settings) -> Finding:
    """Whether tracking and registry answer."""
    uri = settings.tracking_uri
    if uri.startswith(("http://", "https://")):
        return _server(uri)
    if _missing(uri):
        return Finding("mlflow", "ok", f"{uri} is not there yet; the first run makes it")
    from ml_assets.storage.registry import Registry

    Registry(uri).latest("doctor")
    return Finding("mlflow", "ok", f"{redact(uri)} answers")


def _missing(uri: str) -> bool:
    """Whether it is a file of SQLite that nobody has made yet."""
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()


def _server(uri: str) -> Finding:
    try:
        with urlopen(f"{redact(uri).rstrip('/')}/health", timeout=5):  # noqa: S310 - http or https, checked above
            return Finding("mlflow", "ok", f"{redact(uri)} answers")
    except (URLError, OSError) as error:
        remedy = "start the server, or put MLFLOW_TRACKING_URI right (unset: SQLite in the data folder)"
        return Finding("mlflow", "fail", f"{redact(uri)} does not answer: {error}", remedy)


def online_store(settings: Settings) -> Finding:
    """Whether the store of online features answers."""
    from ml_assets.features.online.store import open_store

    url = settings.online_url
    if _missing(url):
        return Finding("online store", "ok", f"{redact(url)} is not there yet; the first run makes it")
    with closing(open_store(url)) as store:
        store.ping()
    return Finding("online store", "ok", f"{redact(url)} answers")


def event_store(settings: Settings) -> Finding:
    """Whether the store of predictions and outcomes answers, and how far the graph is behind."""
    from ml_assets.events.store import EventStore

    with EventStore(settings.event_store_url) as store:
        if not store.exists:
            return Finding("event store", "ok", f"{store.name} is not there yet; the first server makes it")
        health = store.health()
    waiting = ", ".join(f"{rows} {name}" for name, rows in health.behind.items() if rows) or "nothing"
    return Finding(
        "event store", "ok", f"{store.name} answers, {health.size / 1e6:.1f} MB; the graph has yet to take {waiting}"
    )


def daemon(now: float) -> Finding:
    """Whether schedules and sensors run."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        beats = instance.get_daemon_heartbeats()
        ages = {
            name: now - beats[name].timestamp if name in beats else None
            for name in instance.get_required_daemon_types()
        }
        errors = [f"{name}: {beat.errors[0].message}" for name, beat in beats.items() if beat.errors]
    if not beats:
        remedy = "`ml-assets up` starts it; `ml-assets run` works without"
        return Finding("daemon", "ok", "was never started here, so schedules and sensors do not act", remedy)
    dead = sorted(name.lower() for name, age in ages.items() if age is None or age > FRESH)
    if dead:
        remedy = "start it with `ml-assets up`; `ml-assets run` works without"
        return Finding("daemon", "warn", f"does not run ({', '.join(dead)}): no schedule and no sensor acts", remedy)
    if errors:
        return Finding("daemon", "warn", " ".join("; ".join(errors).split())[:400], "see the log of `ml-assets up`")
    return Finding(
        "daemon", "ok", f"runs; the oldest of {len(ages)} heartbeats is {max(filter(None, ages.values())):.0f} s old"
    )


def code_location(project: Path) -> Finding:
    """Whether `defs/` loads."""
    from ml_assets.commands.project import Project
    from ml_assets.errors import MlAssetsError

    loaded = Project(project)
    try:
        models, broken = loaded.models, loaded.broken
    except MlAssetsError as error:
        return Finding("code location", "fail", " ".join(str(error).split()), "put right what the message names")
    if broken:
        errors, others = "; ".join(broken.values()), ", ".join(models) or "none"
        return Finding("code location", "fail", f"{errors}; the others load: {others}", "put right what is named")
    return Finding("code location", "ok", f"{len(models)} models: {', '.join(models)}")


def left_over(settings: Settings, defs: Path) -> Finding:
    """Whether something is left of models that have no folder any more."""
    from ml_assets.commands.leftovers import remedies

    commands_of = remedies(settings, defs)
    if not commands_of:
        return Finding("left over", "ok", "nothing of models without a folder")
    commands = "; ".join(f"`{command}`" for command in commands_of.values())
    return Finding("left over", "warn", "; ".join(commands_of), f"{commands}, or restore what is missing")


def table(findings: Sequence[Finding]) -> list[Line]:
    """The findings for people."""
    from rich.markup import escape

    lines = []
    for finding in findings:
        remedy = f"\n→ {escape(finding.remedy)}" if finding.remedy else ""
        label = f"{finding.status:4} {finding.name}"
        lines.append((f"[{_COLOURS[finding.status]}]{label}[/]", escape(finding.found) + remedy))
    return lines
