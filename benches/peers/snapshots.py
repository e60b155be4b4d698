#!/usr/bin/env python3
"""What a careful developer would write: one snapshot of every server whose name begins with PREFIX, and the KEEP newest of ours stay.

Needs `requests`. Lists the account once a poll, whatever the number of servers; sends nothing twice; deletes only what carries its own name, only after
the new one is complete, and never the newest. A snapshot of today that is there already counts.
"""

import os
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from threading import local

import requests

API = os.environ["API"]
PREFIX = os.environ["PREFIX"]
KEEP = int(os.environ.get("KEEP", "4"))
POLL = float(os.environ.get("POLL", "15"))
PATIENCE = float(os.environ.get("PATIENCE", "3600"))
AT_A_TIME = int(os.environ.get("AT_A_TIME", "4"))
OURS = "nightly-"
TODAY = OURS + datetime.now(timezone.utc).strftime("%Y%m%d")

with open(os.environ["TOKEN_FILE"], encoding="utf-8") as file:
    TOKEN = file.read().strip()
threads = local()


def call(method, path, **body):
    """One request, on this thread's own session: sessions are not safe to share."""
    if not hasattr(threads, "session"):
        threads.session = requests.Session()
        threads.session.headers["Authorization"] = "Bearer " + TOKEN
    answer = threads.session.request(method, API + path, timeout=30, **body)
    answer.raise_for_status()
    return answer


def listing(path):
    answer = call("GET", path).json()
    # Half a list must not lead to deletes.
    if answer["count"] != len(answer["results"]):
        raise RuntimeError("the listing is not whole")
    return answer["results"]


def each(work, things):
    """Does the work for each; says what failed, and whether anything did."""

    def attempt(thing):
        try:
            work(thing)
            return True
        except requests.RequestException as error:
            print(f"{work.__name__} {thing}: {error}", file=sys.stderr)
            return False

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return all(list(pool.map(attempt, things)))


def create(server):
    call("POST", "/snapshots/", json={"server_id": server, "name": TODAY})


def delete(snapshot):
    call("DELETE", f"/snapshots/{snapshot}/")


def main():
    servers = [server["id"] for server in listing("/servers/") if server["name"].startswith(PREFIX)]
    done = {item["server"]["id"] for item in listing("/snapshots/") if item["name"] == TODAY}
    well = each(create, [server for server in servers if server not in done])

    deadline = time.monotonic() + PATIENCE
    while True:
        items = listing("/snapshots/")
        if not any(item["name"] == TODAY and item["status"] == "in_progress" for item in items):
            break
        if time.monotonic() > deadline:
            print("not everything was completed in time", file=sys.stderr)
            well = False
            break
        time.sleep(POLL)

    ours = defaultdict(list)
    for item in items:
        if item["name"].startswith(OURS) and item["status"] == "completed":
            ours[item["server"]["id"]].append(item)
    surplus = []
    for of_server in ours.values():
        if any(item["name"] == TODAY for item in of_server):
            of_server.sort(key=lambda item: (item["created_at"], item["id"]))
            surplus += [item["id"] for item in of_server[:-KEEP]]
    return 0 if each(delete, surplus) and well else 1


if __name__ == "__main__":
    sys.exit(main())
