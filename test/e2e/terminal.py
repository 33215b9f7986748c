"""Runs a command with some of its streams on a pseudo-terminal and does things to it on the way; prints what came of it as JSON.

argv[1] is JSON: {"argv": [...], "terminal": ["stdin", "stdout", "stderr"], "columns": n, "steps": [{"after": text, "send": text}], "timeout": s}
A step waits until `after` has appeared on the terminal since the step before, then asks for an address ("get": url), sends keys ("send"), sends a signal
to the command ("signal": number) or makes the terminal so many columns wide ("columns"). Streams that are not on the
terminal are pipes; stdin as a pipe is empty. The result: {"status", "terminal", "stdout", "stderr", "ms"}; `ms` is the
processor time that it had from the last step to the end, and a status of -N is a signal N that was not caught.
"""

import fcntl
import json
import os
import pty
import resource
import select
import struct
import subprocess
import sys
import termios
import time
import urllib.request

spec = json.loads(sys.argv[1])
main, side = pty.openpty()


def resize(columns):
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


resize(spec.get("columns", 80))
streams = {name: side if name in spec["terminal"] else subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
if streams["stdin"] == subprocess.PIPE:
    streams["stdin"] = subprocess.DEVNULL


def own_terminal():
    os.setsid()
    fcntl.ioctl(side, termios.TIOCSCTTY, 0)  # keys such as Ctrl-C become signals for this session


def processor_time():
    """Milliseconds that the running command has had."""
    with open(f"/proc/{child.pid}/stat") as stat:
        user, system = stat.read().rsplit(") ", 1)[1].split()[11:13]
    return 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


child = subprocess.Popen(spec["argv"], preexec_fn=own_terminal, **streams)
os.close(side)
taken = {main: b""}
for name in ("stdout", "stderr"):
    stream = getattr(child, name)
    if stream is not None:
        taken[stream.fileno()] = b""
files = set(taken)
steps = list(spec.get("steps", []))
deadline = time.monotonic() + spec.get("timeout", 40)
seen, before = 0, 0
while files and time.monotonic() < deadline:
    for file in select.select(list(files), [], [], 0.05)[0]:
        try:
            data = os.read(file, 65536)
        except OSError:  # the terminal's other end is closed
            data = b""
        taken[file] += data
        if data == b"":
            files.discard(file)
    while steps and steps[0]["after"].encode() in taken[main][seen:]:
        step = steps.pop(0)
        seen = len(taken[main])
        before = processor_time()
        if "get" in step:
            urllib.request.urlopen(step["get"]).close()
        os.write(main, step.get("send", "").encode())
        if "columns" in step:
            resize(step["columns"])
        if "signal" in step:
            os.kill(child.pid, step["signal"])
    if child.poll() is not None and not select.select(list(files), [], [], 0)[0]:
        break
if child.poll() is None and time.monotonic() >= deadline:
    child.kill()
status = child.wait()
usage = resource.getrusage(resource.RUSAGE_CHILDREN)


def text(stream):
    return None if stream is None else taken[stream.fileno()].decode()


print(
    json.dumps(
        {
            "status": status,
            "terminal": taken[main].decode(),
            "stdout": text(child.stdout),
            "stderr": text(child.stderr),
            "ms": round(1000 * (usage.ru_utime + usage.ru_stime) - before),
            "stepsLeft": len(steps),
        }
    )
)
