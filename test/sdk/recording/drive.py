"""One acquisition and its reading, step by step, through the release under test: each step is a line of the table.

Prints a JSON line for each step: what was called and how it ended. The proxy learns of each step before its calls.
"""

import asyncio
import importlib
import inspect
import json
import math
import os
import sys
import time
import urllib.request
import uuid
from datetime import datetime

PACKAGE = os.environ["SDK_PACKAGE"]
HAS = frozenset(os.environ["SDK_HAS"].split("\n"))
PROXY = os.environ["SDK_PROXY"]
SERVER = os.environ["SDK_ENDPOINT"]
KEY = os.environ["SDK_KEY"]
START = 1_700_000_000.0

sdk = importlib.import_module(PACKAGE)


def main():
    step("prepare", "", prepare)
    if "streamer" in HAS:
        for name, call, work in STREAMING:
            step(name, call, work)
            # Pushes are not awaited by the SDK: all of them belong to this step.
            plain("GET", f"/-quiet/{chunks_of(name)}", base=PROXY)
    else:
        step("prepare a stream", "", prepare_stream)
    for name, call, need, work in READING:
        if need is None or need in HAS:
            step(name, call, work)


def chunks_of(name):
    """How many requests a step has to send at least."""
    alone = {"push": 1, "push_multi": 1 if "chunk_multi" in HAS else 3, "push of nothing": 1}
    return alone.get(name, 0)


def step(name, call, work):
    plain("GET", f"/-mark/{urllib.request.quote(name)}", base=PROXY)
    try:
        outcome, detail = "works", work() or ""
    except Exception as failure:
        outcome, detail = "fails", f"{type(failure).__name__}: {failure}"
    print(json.dumps({"step": name, "call": call, "outcome": outcome, "detail": detail}), flush=True)


def plain(method, path, body=None, base=PROXY):
    """One plain request, which must succeed."""
    headers = {"X-API-KEY": KEY, "Content-Type": "application/json"} if body is not None else {"X-API-KEY": KEY}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=content, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class Run:
    """What the steps hand on to each other."""

    streamer = None
    data_id = ""
    sample_id = ""
    project = ""
    instrument = 0


run = Run()


def prepare():
    run.sample_id = plain("POST", "/physical_samples/", {"name": "wafer-7"})["id"]
    plain("POST", "/tags/", {"name": "growth"})
    run.project = plain("POST", "/projects/", {"name": "Buffer layers"})["id"]
    plain("POST", f"/projects/{run.project}/configuration", {"k": 1})
    made = {"label": "Main MBE", "name": "GEN10", "type": "mbe", "serial_id": None}
    run.instrument = plain("POST", "/instruments/synthesis", made)["synth_source_id"]


def initialize():
    from importlib import import_module

    # With a slash at the end, as the documentation writes it: this is where the doubled slashes come from.
    run.streamer = import_module(f"{PACKAGE}.streaming").TimeseriesStreamer(
        api_key=KEY, endpoint=f"{PROXY}/", points_per_chunk=10
    )
    options = {"stream_name": "Run 7", "physical_sample": "WAFER-7", "project_id": run.project}
    options["synth_source_id"] = run.instrument
    if "initialize.tags" in HAS:
        options["tags"] = ["Growth", "bay 3"]
    run.data_id = run.streamer.initialize(**options)
    assert str(uuid.UUID(run.data_id)) == run.data_id


def push():
    run.streamer.push(run.data_id, 0, "solo", [START, START + 1.5], [1.0, math.nan], units="nm")
    wait_for("solo", [1.0, None])


def push_multi():
    run.streamer.push_multi(
        run.data_id,
        1,
        {
            "t": {"timestamps": [START + 1], "values": [580.0], "units": "C"},
            "p": {"timestamps": [START + 1], "values": [math.inf]},
            "silent": {"timestamps": [], "values": []},
        },
    )
    wait_for("t", [580.0])
    wait_for("p", [None])


def run_chunks():
    run.streamer.run(run.data_id, "it", [([START + 2], [0.1]), ([START + 3], [0.2])], units="V")
    wait_for("it", [0.1, 0.2])


def push_nothing():
    run.streamer.push(run.data_id, 5, "nothing", [], [])
    # The call itself says nothing; what the server answers is in the transcript.


def finalize():
    run.streamer.finalize(run.data_id)


def wait_for(channel, values):
    """Until the server, asked past the proxy, holds these values."""
    give_up_at = time.monotonic() + 10
    while True:
        try:
            path = f"/metrology/{run.data_id}/points/?channel={channel}"
            chunks = plain("GET", path, base=SERVER)["chunks"]
        except urllib.error.HTTPError:
            chunks = []
        stored = [value for chunk in chunks for value in chunk["values"]]
        if stored == values:
            return
        assert time.monotonic() < give_up_at, f"{channel} holds {stored} instead of {values}"
        time.sleep(0.02)


def prepare_stream():
    body = {"stream_name": "Run 7", "points_per_chunk": 10, "project_id": run.project}
    run.data_id = plain("POST", "/metrology/stream/initialize", {**body, "synth_source_id": run.instrument})["data_id"]
    plain(
        "POST",
        "/data_entries/physical_sample",
        {"data_ids": [run.data_id], "physical_sample_id": run.sample_id},
    )
    tracked = {"physical_sample_id": run.sample_id, "set_active": True}
    plain("POST", f"/projects/{run.project}/configuration/tracking_samples", tracked)
    for channel, index, times, values, units in (
        ("solo", 0, [START, START + 1.5], [1.0, None], "nm"),
        ("t", 1, [START + 1], [580.0], "C"),
        ("p", 1, [START + 1], [None], None),
        ("it", 0, [START + 2], [0.1], "V"),
        ("it", 1, [START + 3], [0.2], "V"),
    ):
        chunk = {"data_id": run.data_id, "chunk_index": index, "channel_name": channel}
        units_given = {} if units is None else {"units": units}
        plain("POST", "/metrology/stream/chunk", {**chunk, "timestamps": times, "values": values, **units_given})
    plain("POST", f"/metrology/stream/{run.data_id}/finalize")


def client():
    # Where the environment beats the argument it has to name the same server.
    os.environ["ADS_API_ENDPOINT"] = f"{PROXY}/"
    return sdk.Client(api_key=KEY, endpoint=f"{PROXY}/", mute_bars=True)


def search():
    rows = client().search()
    assert list(rows["Data ID"]) == [run.data_id]
    assert list(rows["Status"]) == ["success"]


def search_by_type():
    rows = client().search(data_type="metrology", upload_datetime=(datetime(2025, 1, 1), None))
    assert list(rows["Data ID"]) == [run.data_id]


def search_by_words():
    rows = client().search(keywords=["run 7", "bay"], status="success", data_ids=[run.data_id])
    assert list(rows["Data ID"]) == [run.data_id]


def search_by_access():
    rows = client().search(last_accessed_datetime=(datetime(2025, 1, 1), None))
    assert list(rows["Data ID"]) == [run.data_id]


def search_by_update():
    rows = client().search(last_updated=(datetime(2025, 1, 1), None))
    assert list(rows["Data ID"]) == [run.data_id]


def get():
    (result,) = client().get(run.data_id)
    assert_frame(result.timeseries_data)
    return f"{type(result).__name__}, columns {list(result.timeseries_data.columns)}"


def assert_frame(shown):
    """All channels, each with its readings at its times."""
    assert {"solo", "t", "p", "it"} <= set(shown.columns), list(shown.columns)
    by_time = shown.set_index("UNIX Timestamp")
    assert by_time["t"].loc[int(START + 1) * 1000] == 580.0
    assert list(by_time["it"].loc[[int(START + 2) * 1000, int(START + 3) * 1000]]) == [0.1, 0.2]


def list_physical_samples():
    shown = client().list_physical_samples()
    assert list(shown["Physical Sample ID"]) == [run.sample_id]


def get_physical_sample():
    shown = client().get_physical_sample(run.sample_id)
    assert shown.physical_sample_name == "wafer-7"
    (result,) = shown.data_results
    assert_frame(result.timeseries_data)


def list_projects():
    assert list(client().list_projects()["Project ID"]) == [run.project]


def get_project():
    (sample,) = client().get_project(run.project).samples
    assert sample.physical_sample_id == run.sample_id


def growth_instruments():
    one = client()
    made = one.create_growth_instrument(label="Second", name="GEN20", instrument_type="ald", serial_id="SN-2")
    assert [item["synth_source_id"] for item in one.list_growth_instruments()] == [run.instrument, made]
    one.delete_growth_instrument(made)


def poll():
    polling = importlib.import_module(f"{PACKAGE}.timeseries.polling")
    failures = []
    (shown,) = polling.iter_poll(client(), run.data_id, max_polls=1, last_n=2, on_error=failures.append)
    assert not failures and len(shown), failures


STREAMING = [
    ("initialize", "TimeseriesStreamer.initialize", initialize),
    ("push", "TimeseriesStreamer.push", push),
    ("push_multi", "TimeseriesStreamer.push_multi", push_multi),
    ("run", "TimeseriesStreamer.run", run_chunks),
    ("push of nothing", "TimeseriesStreamer.push", push_nothing),
    ("finalize", "TimeseriesStreamer.finalize", finalize),
]

READING = [
    ("search", "Client.search", None, search),
    ("search by type", "Client.search", None, search_by_type),
    ("search by words", "Client.search", None, search_by_words),
    ("search by last access", "Client.search", None, search_by_access),
    ("search by last update", "Client.search", "search.last_updated", search_by_update),
    ("get", "Client.get", None, get),
    ("list_physical_samples", "Client.list_physical_samples", "client.list_physical_samples", list_physical_samples),
    ("get_physical_sample", "Client.get_physical_sample", "client.get_physical_sample", get_physical_sample),
    ("list_projects", "Client.list_projects", "client.list_projects", list_projects),
    ("get_project", "Client.get_project", "client.get_project", get_project),
    ("growth instruments", "Client.*_growth_instrument*", "client.create_growth_instrument", growth_instruments),
    ("polling", "iter_poll", None, poll),
]

main()
