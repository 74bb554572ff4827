"""Streams three chunks by each call of a release and prints what its caller sees. Input: JSON, a list of tasks.

A task has `key`, an organization of its own whose faults hit its second chunk, and `call`: run, push or finalize.
"""

import importlib
import json
import os
import sys
import threading
import time

SETTLE_SECONDS = 50
POINTS = 2
CHUNKS = [([1_700_000_000.0 + 2 * index, 1_700_000_001.0 + 2 * index], [index + 0.25, index + 0.5]) for index in range(3)]

streaming = importlib.import_module(f"{os.environ['SDK_PACKAGE']}.streaming")


def stream(task):
    streamer = streaming.TimeseriesStreamer(
        api_key=task["key"], endpoint=os.environ["SDK_ENDPOINT"], points_per_chunk=POINTS
    )
    task["streamer"] = streamer
    task["data_id"] = streamer.initialize(stream_name="faults")
    try:
        if task["call"] == "run":
            streamer.run(task["data_id"], "pressure", iter(CHUNKS))
        else:
            for index, (times, values) in enumerate(CHUNKS):
                streamer.push(task["data_id"], index, "pressure", times, values)
        if task["call"] == "finalize":
            streamer.finalize(task["data_id"])
        task["sees"] = "nothing"
    except Exception as error:
        task["sees"] = f"{type(error).__name__}: {error}"[:200]


tasks = json.load(sys.stdin)
threads = [threading.Thread(target=stream, args=(task,)) for task in tasks]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# What was pushed is still under way, and ends with this process.
time.sleep(SETTLE_SECONDS)
print(json.dumps([{"data_id": task.get("data_id"), "sees": task["sees"]} for task in tasks]))
