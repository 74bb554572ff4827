"""search: every filter filters"""

import uuid
from datetime import UTC, datetime, timedelta

import pandas
import pytest
from workbench import (
    ADA_KEY,
    FOREIGN_KEY,
    GRACE_KEY,
    START,
    client,
    finished_stream,
    fresh,
    has,
    ids,
    make_project,
    needs,
    row,
    streamer,
)

# Until 0.13 a release knows the last access, which this server takes for the last change, instead of the last update.
CHANGED = "Last Updated" if has("search.last_updated") else "Last Accessed Datetime"
CHANGED_ARGUMENT = "last_updated" if has("search.last_updated") else "last_accessed_datetime"


def moment(text):
    return pandas.to_datetime(text, utc=True).to_pydatetime()


def test_the_columns_of_a_finished_stream():
    project_name, sample, tag, name = fresh("project"), fresh("Wafer"), fresh("tag"), fresh("run")
    project = make_project(project_name)
    data_id = finished_stream(
        points=61, stream_name=name, physical_sample=sample, project_id=project, tags=[tag]
    )
    shown = row(data_id)
    assert shown["File Name"] == name
    assert shown["Type"] == "metrology"
    assert shown["Status"] == "success"
    assert shown["Physical Sample Name"] == sample
    if has("client.list_projects"):
        assert (shown["Project ID"], shown["Project Name"]) == (project, project_name)
    assert shown["Growth Length"] == 60.0
    assert shown["Tags"] == [tag]
    if has("knows_collected"):
        assert moment(shown["Collected Datetime"]).timestamp() == START
    assert abs(moment(shown["Upload Datetime"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert moment(shown[CHANGED]) >= moment(shown["Upload Datetime"])


def test_keywords_are_parts_of_words_in_any_casing_and_any_of_them_matches():
    word, other = uuid.uuid4().hex, uuid.uuid4().hex
    first = finished_stream(stream_name=f"Run {word} of the day")
    second = finished_stream(stream_name=f"Run {other}")
    find = client().search
    assert ids(find(keywords=word)) == {first}
    assert ids(find(keywords=word[3:20].upper())) == {first}
    assert ids(find(keywords=[word, other])) == {first, second}
    assert ids(find(keywords=uuid.uuid4().hex)) == set()


def test_keywords_search_sample_project_and_tags_too():
    sample, project, tag = fresh("Wafer"), fresh("project"), fresh("tag")
    data_id = finished_stream(physical_sample=sample, project_id=make_project(project), tags=[tag])
    for word in (sample, project, tag):
        assert ids(client().search(keywords=word)) == {data_id}, word


def test_signs_in_keywords_stand_for_themselves():
    word = uuid.uuid4().hex
    data_id = finished_stream(stream_name=f"50%_{word}\\x")
    assert ids(client().search(keywords=f"50%_{word}\\x")) == {data_id}
    assert ids(client().search(keywords=f"50__{word}")) == set()


def test_by_data_ids():
    first, second, third = (finished_stream() for _ in range(3))
    find = client().search
    assert ids(find(data_ids=second)) == {second}
    assert ids(find(data_ids=[first, third])) == {first, third}
    assert ids(find(data_ids=[first, str(uuid.uuid4())])) == {first}
    assert len(find(data_ids=str(uuid.uuid4()))) == 0


@needs("search.physical_sample_ids")
def test_by_physical_sample_ids():
    samples = [fresh("Wafer") for _ in range(3)]
    made = [finished_stream(physical_sample=sample) for sample in samples]
    keys = [row(data_id)["Physical Sample ID"] for data_id in made]
    find = client().search
    assert ids(find(physical_sample_ids=keys[0])) == {made[0]}
    assert ids(find(physical_sample_ids=keys[1:])) == set(made[1:])
    assert ids(find(physical_sample_ids=str(uuid.uuid4()))) == set()


@needs("search.project_ids")
def test_by_project_ids():
    projects = [make_project() for _ in range(2)]
    first = finished_stream(project_id=projects[0])
    second = finished_stream(project_id=projects[1], physical_sample=fresh("Wafer"))
    find = client().search
    assert ids(find(project_ids=projects[0])) == {first}
    assert ids(find(project_ids=projects)) == {first, second}
    assert ids(find(project_ids=str(uuid.uuid4()))) == set()


def test_by_data_type():
    name = fresh("run")
    data_id = finished_stream(stream_name=name)
    find = client().search
    # A row says its own type, whichever of the two names it was searched for under.
    for data_type in ("metrology", "tool_state", "all"):
        rows = find(keywords=name, data_type=data_type)
        assert (list(rows["Data ID"]), list(rows["Type"])) == ([data_id], ["metrology"]), data_type
    for data_type in (
        ["rheed", "rheed_stationary", "rheed_rotating", "rheed_image", "xps", "xrd"]
        + ["photoluminescence", "pl", "raman", "recipe", "optical", "ellipsometry"]
    ):
        assert len(find(keywords=name, data_type=data_type)) == 0, data_type


def test_by_status():
    name = fresh("run")
    running = streamer().initialize(stream_name=name)
    finished = finished_stream(stream_name=name)
    find = client().search
    assert ids(find(keywords=name, status="stream_active")) == {running}
    assert ids(find(keywords=name, status="success")) == {finished}
    assert ids(find(keywords=name, status="all")) == {running, finished}
    for status in ("pending", "error", "running", "stream_interrupted", "stream_finalizing", "stream_error"):
        assert len(find(keywords=name, status=status)) == 0, status


def test_by_growth_length():
    name = fresh("run")
    short = finished_stream(points=11, stream_name=name)
    long = finished_stream(points=101, stream_name=name)
    empty = streamer().initialize(stream_name=name)
    find = client().search
    assert ids(find(keywords=name)) == {short, long, empty}
    assert ids(find(keywords=name, growth_length=(50, None))) == {long}
    assert ids(find(keywords=name, growth_length=(None, 50))) == {short}
    assert ids(find(keywords=name, growth_length=(10, 100))) == {short, long}
    assert ids(find(keywords=name, growth_length=(11, 99))) == set()


def test_by_upload_datetime():
    name = fresh("run")
    data_id = finished_stream(stream_name=name)
    uploaded = moment(row(data_id)["Upload Datetime"])
    minute = timedelta(minutes=1)
    find = client().search

    def found(low, high):
        return ids(find(keywords=name, upload_datetime=(low, high)))

    assert found(uploaded - minute, uploaded + minute) == {data_id}
    assert found(uploaded - minute, None) == found(None, uploaded + minute) == {data_id}
    assert found(uploaded + minute, None) == found(None, uploaded - minute) == set()
    # The bounds belong to the range, at the precision that the catalogue itself shows.
    assert found(uploaded, uploaded) == {data_id}
    # A time without a zone is UTC.
    naive = uploaded.replace(tzinfo=None)
    assert found(naive - minute, naive + minute) == {data_id}
    assert found(naive + minute, None) == set()


def test_by_last_updated():
    name = fresh("run")
    one = streamer()
    data_id = one.initialize(stream_name=name)
    before = moment(row(data_id)[CHANGED])
    one.run(data_id, "t", [([START], [1.0])])
    after = moment(row(data_id)[CHANGED])
    assert after > before

    def found(low, high):
        return ids(client().search(keywords=name, **{CHANGED_ARGUMENT: (low, high)}))

    assert found(after, after) == {data_id}
    assert found(None, before) == set()
    assert found(after + timedelta(seconds=1), None) == set()


@needs("search.last_updated")
def test_by_last_access_as_older_releases_call_it():
    data_id = finished_stream()
    with pytest.warns(DeprecationWarning):
        rows = client().search(data_ids=data_id, last_accessed_datetime=(datetime(2025, 1, 1), None))
    assert ids(rows) == {data_id}


@needs("search.physical_sample_ids")
def test_filters_add_up():
    sample, name = fresh("Wafer"), fresh("run")
    wanted = finished_stream(stream_name=name, physical_sample=sample)
    finished_stream(stream_name=name)
    streamer().initialize(stream_name=name, physical_sample=sample)
    key = row(wanted)["Physical Sample ID"]
    assert ids(client().search(keywords=name, physical_sample_ids=key, status="success")) == {wanted}


def test_the_newest_stream_comes_first():
    name = fresh("run")
    made = [finished_stream(stream_name=name) for _ in range(4)]
    assert list(client().search(keywords=name)["Data ID"]) == made[::-1]


def test_own_data_and_the_data_of_the_organization():
    name = fresh("run")
    ada = finished_stream(stream_name=name, key=ADA_KEY)
    grace = finished_stream(stream_name=name, key=GRACE_KEY)
    foreign = finished_stream(stream_name=name, key=FOREIGN_KEY)

    def found(key, **options):
        return ids(client(key).search(keywords=name, **options))

    assert found(ADA_KEY) == found(GRACE_KEY) == {ada, grace}
    assert found(ADA_KEY, include_organization_data=False) == {ada}
    assert found(GRACE_KEY, include_organization_data=False) == {grace}
    assert found(FOREIGN_KEY) == found(FOREIGN_KEY, include_organization_data=False) == {foreign}
    owners = client(ADA_KEY).search(keywords=name).set_index("Data ID")["Owner"]
    assert (owners[ada], owners[grace]) == ("ada", "grace")


def test_a_search_of_everything_has_one_row_for_each_stream():
    rows = client().search()
    assert len(rows) == len(set(rows["Data ID"])) > 0
    assert len(set(rows.columns)) == len(rows.columns)
