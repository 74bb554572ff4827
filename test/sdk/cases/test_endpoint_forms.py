"""the base address with and without a trailing slash"""

import math

from workbench import (
    ENDPOINT,
    KEY,
    START,
    answer,
    assert_stored,
    call,
    client,
    finished_stream,
    fresh,
    has,
    make_project,
    sdk,
    streamer,
)


def whole_round(streamer_endpoint, client_endpoint):
    """Everything that initialize calls, each way of sending, and reading back."""
    one, reader = streamer(endpoint=streamer_endpoint), client(endpoint=client_endpoint)
    sample, tag = fresh("Wafer"), fresh("tag")
    links = {"stream_name": fresh("run"), "physical_sample": sample, "project_id": make_project()}
    tags = [tag] if has("initialize.tags") or not has("streamer") else []
    data_id = one.initialize(**links, tags=tags) if tags else one.initialize(**links)
    one.run(data_id, "ran", [([START], [math.pi])])
    one.push(data_id, 0, "pushed", [START], [math.e])
    one.push_multi(data_id, 0, {"multi": {"timestamps": [START], "values": [math.tau]}})
    assert_stored(data_id, "ran", [START], [math.pi])
    assert_stored(data_id, "pushed", [START], [math.e])
    assert_stored(data_id, "multi", [START], [math.tau])
    one.finalize(data_id)
    rows = reader.search(data_ids=data_id)
    assert list(rows["Physical Sample Name"]) == [sample]
    assert list(rows["Tags"]) == [tags]
    assert list(rows["Status"]) == ["success"]
    (result,) = reader.get(data_id)
    assert list(result.timeseries_data["ran"]) == [math.pi]
    if has("client.list_projects"):
        assert len(reader.list_physical_samples()) > 0 and len(reader.list_projects()) > 0
    if has("client.list_growth_instruments"):
        assert isinstance(reader.list_growth_instruments(), list)


def test_without_a_slash():
    whole_round(ENDPOINT, ENDPOINT)


def test_with_a_slash():
    whole_round(f"{ENDPOINT}/", f"{ENDPOINT}/")


def test_with_two_slashes():
    whole_round(f"{ENDPOINT}//", ENDPOINT)


def test_the_client_takes_the_address_from_the_environment(monkeypatch):
    data_id = finished_stream()
    prefix = "AS" if has("settings_as") else "ADS"
    monkeypatch.setenv(f"{prefix}_API_ENDPOINT", ENDPOINT)
    monkeypatch.setenv(f"{prefix}_API_KEY", KEY)
    assert list(sdk.Client(mute_bars=True).search(data_ids=data_id)["Data ID"]) == [data_id]


def test_doubled_and_missing_slashes_are_answered_without_a_redirect():
    data_id = streamer().initialize()
    for path in (
        ["//data_entries/", "/data_entries", "///data_entries//", "//physical_samples/", "/physical_samples"]
        + ["//projects/", "/projects", "//tags/", "/tags", "/instruments/synthesis/", "//instruments//synthesis"]
        + [f"//tool-state//{data_id}/timeseries/", f"/tool-state/{data_id}/timeseries"]
        + [f"//metrology/{data_id}/timeseries"]
    ):
        reply = call("GET", path, allow_redirects=False)
        assert reply.status_code == 200, f"{path}: {reply.status_code}"
    for prefix in ("//tool-state/stream", "//metrology//stream", "/instrument-timeseries"):
        for ending in ("initialize", "initialize/"):
            body = {"points_per_chunk": 1}
            assert answer("POST", f"{prefix}/{ending}", json=body, allow_redirects=False)["data_id"]
