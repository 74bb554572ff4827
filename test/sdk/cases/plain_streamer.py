"""Streams by plain requests as the documentation describes them, for releases that read but cannot stream."""

import math

import requests


class PlainStreamer:
    """The calls of the SDK's streamer, each of them awaited, under the documented prefix."""

    def __init__(self, key, endpoint, points_per_chunk=100):
        self._key, self._endpoint, self._points_per_chunk = key, endpoint, points_per_chunk

    def initialize(self, stream_name=None, synth_source_id=None, physical_sample=None, project_id=None, tags=None):
        body = {"stream_name": stream_name, "points_per_chunk": self._points_per_chunk, "project_id": project_id}
        if synth_source_id is not None:
            body["synth_source_id"] = synth_source_id
        data_id = self._send("POST", "/metrology/stream/initialize", body)["data_id"]
        if physical_sample is not None:
            sample = self._send("POST", "/physical_samples/", {"name": physical_sample})["id"]
            link = {"data_ids": [data_id], "physical_sample_id": sample}
            self._send("POST", "/data_entries/physical_sample", link)
            if project_id is not None:
                tracked = {"physical_sample_id": sample, "set_active": True}
                self._send("POST", f"/projects/{project_id}/configuration/tracking_samples", tracked)
        if tags:
            tag_ids = [self._send("POST", "/tags/", {"name": tag})["id"] for tag in tags]
            self._send("POST", "/tags/data-items/", {"data_ids": [data_id], "tag_ids": tag_ids})
        return data_id

    def push(self, data_id, chunk_index, channel_name, timestamps, values, units=None):
        body = {"data_id": data_id, "chunk_index": chunk_index, "channel_name": channel_name}
        self._send("POST", "/metrology/stream/chunk", {**body, **_channel(timestamps, values, units)})

    def push_multi(self, data_id, chunk_index, channels):
        sent = {
            name: _channel(one["timestamps"], one["values"], one.get("units"))
            for name, one in channels.items()
            if len(one["timestamps"])
        }
        body = {"data_id": data_id, "chunk_index": chunk_index, "channels": sent}
        self._send("POST", "/metrology/stream/chunk/multi", body)

    def run(self, data_id, channel_name, chunks, units=None):
        for index, (timestamps, values) in enumerate(chunks):
            self.push(data_id, index, channel_name, timestamps, values, units)

    def finalize(self, data_id):
        self._send("POST", f"/metrology/stream/{data_id}/finalize")

    def _send(self, method, path, body=None):
        headers = {"X-API-KEY": self._key}
        reply = requests.request(method, self._endpoint + path, headers=headers, json=body, timeout=30)
        if not reply.ok:
            raise RuntimeError(f"HTTP {reply.status_code}: {reply.text}")
        return reply.json()


def _channel(timestamps, values, units):
    one = {"timestamps": _numbers(timestamps), "values": _numbers(values)}
    return one if units is None else {**one, "units": units}


def _numbers(given):
    return [float(number) if math.isfinite(number) else None for number in given]
