"""What a test does with a running server: organizations, faults, what was received, the clock."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timezone

_MATCH = ("method", "path", "organization_id", "data_id", "channel_name", "chunk_index")
_WHICH = ("nth", "every", "times", "probability")
_ACTIONS = ("status", "delay_ms", "hang", "reset", "truncate_bytes", "drip_bytes_per_s")


class ControlError(RuntimeError):
    """The server refused what a test asked of it; the message says why."""


class Server:
    """One server for tests; `line` is what it printed when it was ready."""

    def __init__(self, line, stop):
        self.line = line
        self.url = line["url"]
        self.api_key = line.get("api_key")
        self.organization_id = line.get("organization_id")
        self._stop = stop
        self.faults = Faults(self._ask, {})
        self.requests = Requests(self._ask, {})
        self.clock = Clock(self._ask)

    def new_organization(self, name=None, scopes=None, key_expires_in_s=None):
        """An organization with a key of its own, which sees nothing of others."""
        given = {"name": name, "scopes": scopes, "key_expires_in_s": key_expires_in_s}
        made = self._ask("POST", "/organizations", {key: value for key, value in given.items() if value is not None})
        return Organization(self, made)

    def reset(self):
        """Empties everything: data, organizations, faults, requests, clock, dice."""
        made = self._ask("POST", "/reset")
        self.api_key, self.organization_id = made["api_key"], made["organization_id"]

    def stop(self):
        """Ends the server; again is nothing."""
        stop, self._stop = self._stop, lambda: None
        stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_test{path}", data, headers, method=method)
        # The server listens on loopback: no proxy stands between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ControlError(f"{method} /_test{path}: {error.code} {error.read().decode(errors='replace')}") from None
        return json.loads(text) if text else None


class Organization:
    """An organization of its own. Its faults hit, and its requests list, what is sent under its key alone."""

    def __init__(self, server, made):
        self.server = server
        self.endpoint = server.url
        self.api_key = made["api_key"]
        self.organization_id = made["organization_id"]
        self.name = made["name"]
        own = {"organization_id": self.organization_id}
        self.faults = Faults(server._ask, own)
        self.requests = Requests(server._ask, own)
        self.clock = server.clock

    def client(self, **options):
        """An `atomscale.Client` of this organization."""
        from atomscale import Client

        return Client(api_key=self.api_key, endpoint=self.endpoint, **{"mute_bars": True, **options})

    def streamer(self, **options):
        """A `TimeseriesStreamer` of the SDK of this organization."""
        from atomscale.streaming import TimeseriesStreamer

        return TimeseriesStreamer(api_key=self.api_key, endpoint=self.endpoint, **options)

    def read(self, data_id, channel_name):
        """What is stored of a channel, by chunks, each with `chunk_index`, `timestamps` and `values`; [] when there is none."""
        channel = urllib.parse.urlencode({"channel": channel_name})
        url = f"{self.endpoint}/metrology/{data_id}/points/?{channel}"
        request = urllib.request.Request(url, headers={"X-API-KEY": self.api_key})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request) as answer:
                return json.load(answer)["chunks"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise


class Fault:
    """A rule by which the server misbehaves."""

    def __init__(self, ask, made):
        self._ask = ask
        self.id = made["id"]
        self.rule = made["rule"]

    @property
    def hit(self):
        """To how many requests the action was done."""
        return self._count("hit")

    @property
    def matched(self):
        """How many requests the rule fits."""
        return self._count("matched")

    def remove(self):
        self._ask("DELETE", f"/faults/{self.id}")

    def _count(self, name):
        for one in self._ask("GET", "/faults"):
            if one["id"] == self.id:
                return one[name]
        raise ControlError(f"fault {self.id} was removed")


class Faults:
    """Rules by which the server misbehaves. Those that are made here are removed at the end of the test."""

    def __init__(self, ask, own):
        self._ask = ask
        self._own = own
        self._made = []

    def add(self, *, when=None, headers=None, body=None, **given):
        """Makes a rule: what happens, to which requests, and when.

        What happens, one of: status=503 (with headers= and body=), delay_ms=, hang=True, reset=True,
        truncate_bytes=, drip_bytes_per_s=.
        To which requests: method=, path= (with * and **), data_id=, channel_name=, chunk_index=; and of those
        nth=, every=, times= or probability=.
        when: "before" (nothing is stored) or "after_commit" (the answer is spoiled).
        """
        unknown = set(given) - {*_MATCH, *_WHICH, *_ACTIONS}
        if unknown:
            raise TypeError(f"add() knows no {', '.join(sorted(unknown))}")
        action = {name: given[name] for name in _ACTIONS if name in given}
        if headers is not None:
            action["headers"] = headers
        if body is not None:
            action["body"] = body
        match = {**self._own, **{name: given[name] for name in _MATCH if name in given}}
        rule = {"match": match, "action": action, **{name: given[name] for name in _WHICH if name in given}}
        if when is not None:
            rule["when"] = when
        fault = Fault(self._ask, self._ask("POST", "/faults", rule))
        self._made.append(fault)
        return fault

    def lose_answer(self, **given):
        """After the commit the connection is cut: what was sent is stored, and its sender does not know."""
        return self.add(reset=True, when="after_commit", **given)

    def clear(self):
        """Removes the rules that were made here."""
        there = {one["id"] for one in self._ask("GET", "/faults")}
        for fault in self._made:
            if fault.id in there:
                fault.remove()
        self._made = []


@dataclass(frozen=True)
class Request:
    """A request that has arrived. `status` is None as long as, and where, it was not answered."""

    number: int
    at: str
    organization_id: str
    method: str
    path: str
    query: dict
    headers: dict
    body: object
    status: int
    duration_ms: float
    is_complete: bool
    fault: dict


class Requests:
    """What the server has received, in order."""

    def __init__(self, ask, own):
        self._ask = ask
        self._own = own

    def list(self, **filters):
        """Those that fit: method, path, data_id, channel_name, chunk_index, status, faulty, after (a number)."""
        return self._find(filters)[0]

    def wait_for(self, count, *, seconds_max=5, **filters):
        """Waits until so many fit. Fails with an AssertionError when they have not come in time."""
        found, has_count = self._find({**filters, "count": count, "wait_s": seconds_max})
        assert has_count, f"{len(found)} requests, not {count}, have come within {seconds_max} s that fit {filters}"
        return found

    def _find(self, filters):
        query = {**filters, **self._own}
        texts = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
        answer = self._ask("GET", f"/requests?{urllib.parse.urlencode(texts)}")
        return [Request(**one) for one in answer["requests"]], answer["has_count"]


class Clock:
    """What time it is for the server; it runs on from wherever it was put."""

    def __init__(self, ask):
        self._ask = ask
        self.was_moved = False

    def now(self):
        return _time(self._ask("GET", "/clock"))

    def advance(self, seconds):
        """Moves it on, from where it stands."""
        return self._move({"advance_s": seconds})

    def set(self, to):
        """To a datetime; one without a zone is UTC."""
        at = to if to.tzinfo is not None else to.replace(tzinfo=timezone.utc)
        return self._move({"at": at.isoformat()})

    def restore(self):
        """Back to the true time."""
        now = self._move({"offset_s": 0})
        self.was_moved = False
        return now

    def _move(self, body):
        self.was_moved = True
        return _time(self._ask("POST", "/clock", body))


def _time(answer):
    return datetime.fromisoformat(answer["now"].replace("Z", "+00:00"))
