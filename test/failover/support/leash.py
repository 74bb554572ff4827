"""Ends what a test has started, also when the test itself is killed: leash.py FOLDER.

Waits for the end of its standard input, which comes with the test's. Then it kills every process that has the folder in its
command line or works in it, and removes the folder.
"""

import os
import shutil
import signal
import sys
import time

folder = sys.argv[1]
# A Ctrl-C reaches the whole group; this one has to outlive the others.
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(one, signal.SIG_IGN)


def belongs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                return False
        with open(f"/proc/{pid}/cmdline") as command:
            return folder in command.read() or os.readlink(f"/proc/{pid}/cwd").startswith(folder)
    except OSError:
        return False


sys.stdin.read()
give_up_at = time.monotonic() + 20
while time.monotonic() < give_up_at:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    found = [pid for pid in pids if belongs(pid)]
    if not found:
        break
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(0.05)
shutil.rmtree(folder, ignore_errors=True)
