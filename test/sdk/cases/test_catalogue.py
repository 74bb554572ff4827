"""samples, projects and growth instruments"""

import uuid
import warnings

import pytest
from workbench import (
    FOREIGN_KEY,
    START,
    ClientError,
    answer,
    assert_same_bits,
    assert_status,
    client,
    finished_stream,
    fresh,
    has,
    make_project,
    needs,
    row,
    streamer,
)


@needs("client.list_physical_samples")
def test_list_physical_samples():
    sample, project_name = fresh("Wafer"), fresh("project")
    project = make_project(project_name)
    data_id = finished_stream(physical_sample=sample, project_id=project)
    finished_stream(physical_sample=sample.lower())
    samples = client().list_physical_samples()
    (shown,) = [one for _, one in samples[samples["Physical Sample Name"] == sample].iterrows()]
    assert shown["Physical Sample ID"] == row(data_id)["Physical Sample ID"]
    assert (shown["Project ID"], shown["Project Name"]) == (project, project_name)
    assert shown["Data Items"] == 2


@needs("client.get_physical_sample")
def test_get_physical_sample():
    sample = fresh("Wafer")
    made = [finished_stream(points=5, physical_sample=sample, channel=f"channel {place}") for place in range(2)]
    key = row(made[0])["Physical Sample ID"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = client().get_physical_sample(key)
    assert (result.physical_sample_id, result.physical_sample_name) == (key, sample)
    assert {str(one.data_id) for one in result.data_results} == set(made)
    assert all(len(one.timeseries_data) == 5 for one in result.data_results)
    assert result.aligned_timeseries is None
    assert result.non_timeseries == []


@needs("client.get_physical_sample")
def test_get_physical_sample_aligned():
    sample = fresh("Wafer")
    # Half a second is the finest grid that the SDK aligns on.
    first = finished_stream(points=10, physical_sample=sample, channel="hot", step=0.5)
    second = finished_stream(points=10, physical_sample=sample, channel="cold", start=START + 2.5, step=0.5)
    result = client().get_physical_sample(row(first)["Physical Sample ID"], align=True)
    aligned = result.aligned_timeseries
    domain = "tool_state" if has("reads_tool_state") else "metrology"
    assert len(aligned) == 15
    assert aligned.index[0].timestamp() == START
    assert_same_bits(list(aligned[(first, domain, "hot")].dropna()), [500.0 + place for place in range(10)])
    assert_same_bits(list(aligned[(second, domain, "cold")].dropna()), [500.0 + place for place in range(10)])
    assert aligned[(first, domain, "hot")].isna().tolist() == [False] * 10 + [True] * 5


@needs("client.get_physical_sample")
def test_a_sample_without_streams_and_an_unknown_one():
    sample = answer("POST", "/physical_samples/", json={"name": fresh("Wafer")})
    assert "physical_sample_id" not in sample
    result = client().get_physical_sample(sample["id"])
    assert (result.physical_sample_name, result.data_results) == (sample["name"], [])
    unknown = client().get_physical_sample(str(uuid.uuid4()))
    assert (unknown.physical_sample_name, unknown.data_results) == (None, [])


@needs("client.get_physical_sample_timeseries")
def test_computed_metrics_of_a_sample_are_absent_without_a_warning():
    sample = fresh("Wafer")
    key = row(finished_stream(physical_sample=sample))["Physical Sample ID"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = client().get_physical_sample(key).sample_metrics
    assert metrics is None or metrics.empty


@needs("client.list_projects")
def test_list_projects():
    name = fresh("project")
    project = make_project(name)
    for _ in range(2):
        finished_stream(project_id=project, physical_sample=fresh("Wafer"))
    projects = client().list_projects()
    (shown,) = [one for _, one in projects[projects["Project ID"] == project].iterrows()]
    assert shown["Project Name"] == name
    assert shown["Physical Sample Count"] == 2


@needs("client.get_project")
def test_get_project():
    project = make_project()
    samples = [fresh("Wafer") for _ in range(2)]
    made = [finished_stream(project_id=project, physical_sample=sample, step=0.5) for sample in samples]
    result = client().get_project(project)
    assert result.project_id == project
    assert {one.physical_sample_name for one in result.samples} == set(samples)
    assert {str(stream.data_id) for one in result.samples for stream in one.data_results} == set(made)
    aligned = client().get_project(project, align=True).aligned_timeseries
    assert len(aligned) == 3


@needs("client.get_project")
def test_an_empty_and_an_unknown_project():
    assert client().get_project(make_project()).samples == []
    assert client().get_project(str(uuid.uuid4())).samples == []


@needs("client.create_growth_instrument")
def test_growth_instruments_are_made_listed_and_deleted():
    one, label = client(), fresh("Main MBE")
    made = one.create_growth_instrument(label=label, name="Veeco GEN10", instrument_type="mbe", serial_id="SN-1")
    assert isinstance(made, int)
    (shown,) = [item for item in one.list_growth_instruments() if item["synth_source_id"] == made]
    assert (shown["source_name"], shown["synth_source_type"]) == (label, "mbe")
    assert {"source_manufacturer", "source_model"} <= set(shown)
    one.delete_growth_instrument(made)
    assert made not in [item["synth_source_id"] for item in one.list_growth_instruments()]
    one.delete_growth_instrument(made)


@needs("client.create_growth_instrument")
def test_every_type_of_growth_instrument():
    one = client()
    for kind in ("mbe", "cvd", "pvd", "sputter", "ald", "pld"):
        made = one.create_growth_instrument(label=fresh(kind), name="", instrument_type=kind)
        assert made in [item["synth_source_id"] for item in one.list_growth_instruments()]
    with pytest.raises(ClientError) as failed:
        one.create_growth_instrument(label=fresh("x"), name="x", instrument_type="toaster")
    assert_status(failed, 422)


@needs("client.create_growth_instrument")
def test_a_stream_outlives_its_growth_instrument():
    one = client()
    made = one.create_growth_instrument(label=fresh("MBE"), name="GEN10", instrument_type="mbe")
    data_id = finished_stream(synth_source_id=made)
    one.delete_growth_instrument(made)
    assert len(one.get(data_id)[0].timeseries_data) == 3


@needs("client.create_growth_instrument")
def test_a_growth_instrument_of_another_organization():
    made = client(FOREIGN_KEY).create_growth_instrument(label=fresh("MBE"), name="GEN10", instrument_type="mbe")
    assert made not in [item["synth_source_id"] for item in client().list_growth_instruments()]
    with pytest.raises(RuntimeError, match="404"):
        streamer().initialize(synth_source_id=made)
    client().delete_growth_instrument(made)
    assert made in [item["synth_source_id"] for item in client(FOREIGN_KEY).list_growth_instruments()]


@needs("client.get_changepoints")
def test_what_the_server_does_not_hold_is_answered_as_absent():
    data_id = finished_stream()
    one = client()
    assert one.get_changepoints(data_id).empty
    if has("client.get_rheed_azimuths"):
        assert one.get_rheed_azimuths(data_id).empty
    if has("client.get_spatial_annotations"):
        sample = row(finished_stream(physical_sample=fresh("Wafer")))["Physical Sample ID"]
        with pytest.raises(ClientError):
            one.get_spatial_annotations(sample)
    if has("client.get_rheed_timeseries"):
        assert one.get_rheed_timeseries(str(uuid.uuid4())).empty
