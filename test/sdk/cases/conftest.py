"""Tells the vitest suite, line by line as JSON over an inherited pipe, how each case went."""

import faulthandler
import json
import os
import sys

CASE_SECONDS_MAX = 60
REPORT_FD = int(os.environ.get("SDK_REPORT_FD", "1"))

_parts = {}


def pytest_collection_modifyitems(items):
    if "SDK_CASES" in os.environ:
        wanted = set(os.environ["SDK_CASES"].split("\n"))
        items[:] = [item for item in items if item.nodeid in wanted]


def pytest_runtest_logstart(nodeid, location):
    # The SDK's client has no time-out of its own: a server that never answers must not hang the suite.
    faulthandler.dump_traceback_later(CASE_SECONDS_MAX, exit=True, file=sys.__stderr__)
    _parts[nodeid] = []
    _tell(event="start", id=nodeid)


def pytest_runtest_logreport(report):
    _parts[report.nodeid].append(report)


def pytest_runtest_logfinish(nodeid, location):
    faulthandler.cancel_dump_traceback_later()
    parts = _parts.pop(nodeid)
    bad = [part for part in parts if part.outcome != "passed"]
    text = "\n".join(f"{part.longreprtext}\n{part.capstdout}{part.capstderr}".rstrip() for part in bad)
    _tell(event="end", id=nodeid, outcome=bad[0].outcome if bad else "passed", text=text)


def _tell(**message):
    line = (json.dumps(message) + "\n").encode()
    while line:
        line = line[os.write(REPORT_FD, line) :]
