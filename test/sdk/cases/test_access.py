"""keys and organizations"""

import uuid

import pytest
from workbench import (
    ADA_KEY,
    FOREIGN_KEY,
    GRACE_KEY,
    START,
    ClientError,
    assert_status,
    assert_stored,
    call,
    client,
    finished_stream,
    frame,
    fresh,
    has,
    make_project,
    needs,
    row,
    stored_chunks,
    streamer,
)


def test_a_wrong_key_is_a_client_error_401():
    for name, read in (
        ("search", lambda one: one.search()),
        ("get", lambda one: one.get(str(uuid.uuid4()))),
        ("list_physical_samples", lambda one: one.list_physical_samples()),
        ("list_projects", lambda one: one.list_projects()),
        ("list_growth_instruments", lambda one: one.list_growth_instruments()),
        (
            "create_growth_instrument",
            lambda one: one.create_growth_instrument(label="x", name="x", instrument_type="mbe"),
        ),
    ):
        if not has(f"client.{name}"):
            continue
        with pytest.raises(ClientError) as failed:
            read(client("wrong"))
        assert_status(failed, 401)


@needs("streamer")
def test_a_wrong_key_cannot_stream():
    data_id = streamer().initialize()
    bad = streamer(key="wrong")
    with pytest.raises(RuntimeError, match="401"):
        bad.initialize()
    with pytest.raises(RuntimeError, match="401"):
        bad.run(data_id, "t", [([START], [1.0])])
    with pytest.raises(RuntimeError, match="401"):
        bad.finalize(data_id)
    assert stored_chunks(data_id, "t") == []
    assert row(data_id)["Status"] == "stream_active"


def test_a_colleague_can_feed_read_and_finalize_a_stream():
    data_id = streamer(key=ADA_KEY).initialize()
    colleague = streamer(key=GRACE_KEY)
    colleague.run(data_id, "t", [([START], [1.0])])
    colleague.finalize(data_id)
    assert list(frame(data_id, key=GRACE_KEY)["t"]) == [1.0]
    assert row(data_id, key=ADA_KEY)["Status"] == "success"


def test_a_foreign_stream_is_answered_like_an_unknown_one():
    data_id = finished_stream()
    open_id = streamer().initialize()
    foreign, unknown = streamer(key=FOREIGN_KEY), str(uuid.uuid4())
    texts = {}
    for one in (open_id, unknown):
        with pytest.raises(RuntimeError, match="404") as failed:
            foreign.run(one, "t", [([START], [1.0])])
        texts[one] = str(failed.value).replace(one, "ID")
        with pytest.raises(RuntimeError, match="404") as failed:
            foreign.finalize(one)
        texts[one] += str(failed.value).replace(one, "ID")
    assert texts[open_id] == texts[unknown]
    assert row(open_id)["Status"] == "stream_active"
    assert stored_chunks(open_id, "t") == []
    assert client(FOREIGN_KEY).get(data_id) == []
    assert len(client(FOREIGN_KEY).search(data_ids=data_id)) == 0
    for path in ("/tool-state/{}/timeseries/", "/metrology/{}/timeseries/", "/rheed/timeseries/{}/"):
        replies = [call("GET", path.format(one), key=FOREIGN_KEY) for one in (data_id, unknown)]
        assert {reply.status_code for reply in replies} == {404}, path
        assert len({reply.text.replace(one, "ID") for reply, one in zip(replies, (data_id, unknown), strict=True)}) == 1
    assert_stored(data_id, "temperature", [START, START + 1, START + 2], [500.0, 501.0, 502.0])


@needs("streamer", "client.get_physical_sample")
def test_foreign_samples_projects_and_tags_are_out_of_reach():
    sample, tag, project = fresh("Wafer"), fresh("tag"), make_project()
    data_id = finished_stream(physical_sample=sample, tags=[tag], project_id=project)
    key = row(data_id)["Physical Sample ID"]
    foreign = streamer(key=FOREIGN_KEY)
    with pytest.raises(RuntimeError, match="not found"):
        foreign.initialize(physical_sample=key)
    with pytest.raises(RuntimeError):
        foreign.initialize(project_id=project)
    reader = client(FOREIGN_KEY)
    samples, projects = reader.list_physical_samples(), reader.list_projects()
    assert not len(samples) or key not in set(samples["Physical Sample ID"])
    assert not len(projects) or project not in set(projects["Project ID"])
    assert reader.get_project(project).samples == []
    assert reader.get_physical_sample(key).physical_sample_name is None


def test_the_same_sample_and_tag_names_in_two_organizations_are_two():
    sample, tag = fresh("Wafer"), fresh("tag")
    own = finished_stream(physical_sample=sample, tags=[tag])
    foreign = finished_stream(physical_sample=sample, tags=[tag], key=FOREIGN_KEY)
    shown, other = row(own), row(foreign, key=FOREIGN_KEY)
    assert shown["Physical Sample ID"] != other["Physical Sample ID"]
    assert shown["Physical Sample Name"] == other["Physical Sample Name"] == sample
    assert shown["Tags"] == other["Tags"] == [tag]
