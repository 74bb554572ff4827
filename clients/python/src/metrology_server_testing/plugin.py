"""The fixtures. `metrology_server` is one server for the session, `metrology` a new organization for each test."""

import os

import pytest

from .process import connect, start


def pytest_addoption(parser):
    group = parser.getgroup("metrology-server")
    group.addoption("--metrology-seed", help="seed of the server for tests: the same ids, keys and dice of faults")


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "metrology_server(**settings): the test needs a server with these settings, such as FINALIZE_GRACE_SECONDS=1",
    )


@pytest.fixture(scope="session")
def _metrology_servers(request):
    """Servers by their settings; under pytest-xdist each worker has its own."""
    servers = {}
    given = os.environ.get("METROLOGY_SERVER_URL")

    def with_settings(**settings):
        key = tuple(sorted(settings.items()))
        if key not in servers:
            if given and settings:
                pytest.skip("METROLOGY_SERVER_URL names one server, whose settings this test cannot choose")
            seed = request.config.getoption("--metrology-seed")
            servers[key] = connect(given) if given else start(seed=seed, settings=settings)
        return servers[key]

    yield with_settings
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="session")
def metrology_server(_metrology_servers):
    """The server of the session, or the one of METROLOGY_SERVER_URL."""
    return _metrology_servers()


@pytest.fixture
def metrology(request, _metrology_servers):
    """A new organization: endpoint, api_key, client(), streamer(), read(), faults, requests, clock."""
    marker = request.node.get_closest_marker("metrology_server")
    organization = _metrology_servers(**(marker.kwargs if marker else {})).new_organization()
    yield organization
    organization.faults.clear()
    if organization.clock.was_moved:
        organization.clock.restore()
