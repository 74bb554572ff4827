"""Prints what an installed release is and can do, found in the package itself: describe.py PACKAGE FOLDER."""

import importlib
import importlib.metadata
import inspect
import json
import platform
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement

package_name, folder = sys.argv[1:]
package = importlib.import_module(package_name)
home = Path(package.__file__).parent
assert home.is_relative_to(Path(folder)), f"{package_name} was imported from {home} instead of {folder}"


def missing_requirements():
    for text in importlib.metadata.requires(package_name) or []:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield text
        else:
            if not wanted.specifier.contains(version, prereleases=True):
                yield f"{text} (there is {version})"


def sources():
    """The text of every Python file of the package and the bytes of its compiled ones."""
    python = b"".join(file.read_bytes() for file in sorted(home.rglob("*.py")))
    compiled = b"".join(file.read_bytes() for file in sorted(home.rglob("*.so")))
    return python, compiled


def capabilities():
    client = package.Client
    streamer = getattr(importlib.import_module(f"{package_name}.streaming"), "TimeseriesStreamer", None)
    python, compiled = sources()
    for name in dir(client):
        if not name.startswith("_"):
            yield f"client.{name}"
    for name in inspect.signature(client.search).parameters:
        yield f"search.{name}"
    if b"self.status_code" in python:
        yield "error_status"
    if b"collected_datetime" in python:
        yield "knows_collected"
    if b"tool-state/" in python:
        yield "reads_tool_state"
    if b'"properties"' in python:
        yield "reads_properties"
    if b"AS_API_ENDPOINT" in python:
        yield "settings_as"
    if b"ADS_API_ENDPOINT" in python:
        yield "settings_ads"
    if streamer is None:
        return
    yield "streamer"
    for name in inspect.signature(streamer.initialize).parameters:
        yield f"initialize.{name}"
    if b"tracking_samples" in compiled:
        yield "tracks_samples"
    if b"/chunk/multi" in compiled:
        yield "chunk_multi"
    if b"/tool-state/stream" in compiled:
        yield "streams_tool_state"
    if hasattr(streamer, "clock_status"):
        yield "clock"


def calls():
    """Everything that a user can call, and every path that stands in the sources, with {} for what is filled in."""
    streamer = getattr(importlib.import_module(f"{package_name}.streaming"), "TimeseriesStreamer", None)
    for owner, one in (("Client", package.Client), ("TimeseriesStreamer", streamer)):
        for name in dir(one) if one is not None else ():
            if not name.startswith("_"):
                yield f"{owner}.{name}"
    # The wheel carries the Rust of its streamer beside the binary.
    for file in sorted([*home.rglob("*.py"), *home.rglob("*.rs")]):
        # The tests in a Rust file come last and speak to a server of their own.
        text = file.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        for path in re.findall(r'"(?:\{[a-z_]*\})?/?([a-z_-]+/[a-z0-9_{}/-]*)"', text):
            yield "/" + re.sub(r"\{[^}]*\}", "{}", path).strip("/")


print(
    json.dumps(
        {
            "version": importlib.metadata.version(package_name),
            "pythonVersion": platform.python_version(),
            "missing": list(missing_requirements()),
            "has": sorted(capabilities()),
            "calls": sorted(set(calls())),
        }
    )
)
