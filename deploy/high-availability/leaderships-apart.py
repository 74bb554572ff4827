#!/usr/bin/env python3
"""Keeps the leader of etcd off the machine whose PostgreSQL is the primary.

    leaderships-apart.py PATRONI ETCD        such as http://10.0.0.1:8008 http://10.0.0.1:2379

Run it on each database machine for ever, with that machine's own addresses. Every two seconds it asks its Patroni whether
this machine is the primary and its etcd whether it leads; where both are so, etcd's leadership goes to another member.

Why: when a machine that is both is frozen for longer than Patroni's ttl (a paused virtual machine, a disk that hangs) and
comes back, etcd before 3.4.29 and 3.5.11 revokes leases that it only believes to have ended, that of the new primary among
them, and Patroni before 3.1 lets the old primary, which still runs, take the free lock. All that was acknowledged meanwhile
is lost. With the leaderships apart neither happens, and a failover does not wait for an election of etcd first.
"""

import json
import sys
import time
import urllib.error
import urllib.request

PAUSE_SECONDS = 2
PATIENCE_SECONDS = 2


def ask_etcd(url, call):
    """One call of etcd's JSON gateway, without arguments or with them as (call, body)."""
    path, body = call if isinstance(call, tuple) else (call, {})
    request = urllib.request.Request(f"{url}/v3/{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


def is_primary(patroni):
    """Whether this machine holds Patroni's lease; Patroni answers 503 where it does not."""
    try:
        with urllib.request.urlopen(f"{patroni}/primary", timeout=PATIENCE_SECONDS) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def has_sign_of_life(url):
    try:
        ask_etcd(url, "maintenance/status")
        return True
    except (OSError, ValueError):
        return False


def keep_apart(patroni, etcd):
    status = ask_etcd(etcd, "maintenance/status")
    own = status["header"]["member_id"]
    if status.get("leader") != own or not is_primary(patroni):
        return
    for member in ask_etcd(etcd, "cluster/member/list")["members"]:
        if member["ID"] != own and any(has_sign_of_life(url) for url in member.get("clientURLs", [])):
            ask_etcd(etcd, ("maintenance/transfer-leadership", {"targetID": member["ID"]}))
            print(f"this machine is the primary, so {member['name']} leads etcd now", flush=True)
            return


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    while True:
        try:
            keep_apart(*sys.argv[1:])
        except (OSError, ValueError, KeyError) as error:
            print(f"not checked: {error}", file=sys.stderr, flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
