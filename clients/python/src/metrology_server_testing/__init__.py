"""A metrology-server for tests of programs that speak to the Atomscale metrology streaming API.

With pytest use the fixtures `metrology_server` and `metrology` (docs/testing.md of the server). Elsewhere::

    from metrology_server_testing import start

    with start(seed=7) as server:
        organization = server.new_organization()
"""

from .control import ControlError, Fault, Organization, Request, Server
from .process import ServerFailed, connect, start

__all__ = ["ControlError", "Fault", "Organization", "Request", "Server", "ServerFailed", "connect", "start"]
