"""One step of a stream that several releases share, each in a process of its own: step.py STEP [DATA_ID [INDEX]].

`open` prints the new stream's id, `feed` sends one chunk of two channels and waits until it is stored, `finalize`
ends the stream, `read` prints what the release shows of it: channel -> [[ms, reading], ...].
"""

import json
import sys

from workbench import START, assert_stored, client, fresh, make_project, row, stored_chunks, streamer

POINTS = 5


def chunk(index):
    """Times and readings that say from which chunk they are."""
    times = [START + index * POINTS + place for place in range(POINTS)]
    return times, [index + place / 7 for place in range(POINTS)]


def open_stream():
    links = {"stream_name": fresh("shared run"), "physical_sample": fresh("Wafer"), "project_id": make_project()}
    print(streamer(points_per_chunk=POINTS).initialize(**links))


def feed(data_id, index):
    times, readings = chunk(index)
    one = streamer(points_per_chunk=POINTS)
    channels = {name: {"timestamps": times, "values": readings, "units": "C"} for name in ("a", "b")}
    one.push_multi(data_id, index, channels)
    before = [one for one in stored_chunks(data_id, "a") if one["chunk_index"] < index]
    for name in channels:
        rows = [chunk(one["chunk_index"]) for one in before] + [(times, readings)]
        if not any(one["chunk_index"] > index for one in stored_chunks(data_id, name)):
            assert_stored(data_id, name, sum((row[0] for row in rows), []), sum((row[1] for row in rows), []))


def finalize(data_id):
    streamer().finalize(data_id)


def read(data_id):
    (result,) = client().get(data_id)
    shown = result.timeseries_data.set_index("UNIX Timestamp")
    assert row(data_id)["Status"] == "success"
    print(json.dumps({name: list(shown[name].dropna().items()) for name in sorted({"a", "b"} & set(shown.columns))}))


steps = {"open": open_stream, "feed": feed, "finalize": finalize, "read": read}
steps[sys.argv[1]](*sys.argv[2:3], *map(int, sys.argv[3:4]))
