"""Does what its argument says, a JSON list of steps, and prints for each "ok" or the error, as a JSON list.

A step may bring settings of the environment, which hold for it alone.
"""

import json
import math
import os
import sys
import time

from atomscale import Client
from atomscale.streaming import TimeseriesStreamer

START = 1_700_000_000.0
POINTS = 5


def stream(endpoint, key, name):
    """Opens a stream, sends a chunk in each way, ends it."""
    streamer = TimeseriesStreamer(api_key=key, endpoint=endpoint, points_per_chunk=POINTS)
    data_id = streamer.initialize(stream_name=name, physical_sample=f"sample of {name}")
    times = [START + index for index in range(POINTS)]
    streamer.run(data_id, "ran", [(times, [math.sin(time) for time in times])])
    streamer.push_multi(data_id, 0, {"pushed": {"timestamps": times, "values": times, "units": "nm"}})
    streamer.finalize(data_id)


def read(endpoint, key, name):
    """Finds the stream and reads it; pushes are not awaited by finalize, so it may take a moment."""
    client = Client(api_key=key, endpoint=endpoint, mute_bars=True)
    rows = client.search(keywords=name)
    assert list(rows["Physical Sample Name"]) == [f"sample of {name}"], rows
    give_up_at = time.monotonic() + 20
    while True:
        frame = client.get(list(rows["Data ID"]))[0].timeseries_data
        if "ran" in frame and "pushed" in frame and not frame["pushed"].isna().any():
            break
        assert time.monotonic() < give_up_at, frame
        time.sleep(0.05)
    assert list(frame["ran"]) == [math.sin(START + index) for index in range(POINTS)], frame
    assert list(frame["pushed"]) == [START + index for index in range(POINTS)], frame


outcomes = []
for step in json.loads(sys.argv[1]):
    before = dict(os.environ)
    os.environ.update(step.get("settings", {}))
    try:
        work = {"stream": stream, "read": read}[step["do"]]
        work(step["endpoint"], step["key"], step["name"])
        outcomes.append("ok")
    except Exception as error:
        outcomes.append(f"{type(error).__name__}: {error}")
    for name in step.get("settings", {}):
        del os.environ[name]
    os.environ.update(before)
print(json.dumps(outcomes))
