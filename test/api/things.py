"""Makes what requests can name, so that they reach more than 404: streams, samples, projects, tags, instruments."""

import os
import uuid

import requests

ENDPOINT = os.environ["API_ENDPOINT"]
_session = requests.Session()
_session.headers["X-API-KEY"] = os.environ["API_KEY"]


def post(path, body):
    """@returns the JSON of a 2xx answer"""
    answer = _session.post(ENDPOINT + path, json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


def open_stream(**links):
    """A stream whose chunk 0 of channel "thickness" has been replaced once. @returns its data_id"""
    data_id = post("/metrology/stream/initialize", {"points_per_chunk": 3, **links})["data_id"]
    for values in ([0.0, 5.2, None], [0.0, 5.3, None]):
        chunk = {"data_id": data_id, "chunk_index": 0, "channel_name": "thickness", "units": "nm"}
        post("/metrology/stream/chunk", {**chunk, "timestamps": [1705312200, 1705312210.5, 1705312220], "values": values})
    return data_id


def new_instrument():
    body = {"label": "Main MBE", "name": "Veeco GEN10", "type": "mbe", "serial_id": None}
    return post("/instruments/synthesis", body)["synth_source_id"]


sample = post("/physical_samples/", {"name": "GaN-001"})["id"]
project = post("/projects/", {"name": "GaN 2026"})["id"]
tag = post("/tags/", {"name": "growth"})["id"]
instrument = new_instrument()
# One to read and to change; others take the chunks that are made up, so that reading does not become slower and slower.
read_stream = open_stream(physical_sample_id=sample, project_id=project)
written_streams = [open_stream() for _ in range(20)]


def is_needed(data_ids):
    """Whether a request to delete these would take away what others are to find."""
    return isinstance(data_ids, list) and not {read_stream, *written_streams}.isdisjoint(map(str, data_ids))


own = _session.get(f"{ENDPOINT}/session", timeout=30).json()


def doomed_key():
    """A key that no request comes with, of a user who has no other."""
    return post("/keys/", {"user_name": f"colleague {uuid.uuid4()}", "scopes": ["read"]})


def doomed_project():
    return post("/projects/", {"name": f"given up {uuid.uuid4()}"})["id"]


def deleted_stream():
    data_id = open_stream()
    _session.delete(f"{ENDPOINT}/data_entries/", params={"data_ids": data_id}, timeout=30).raise_for_status()
    return data_id
