"""Runs launches that the emulator has recorded (native/simt/recording.h) as the PTX that nvcc has made of the same kernels, and expects
the same memory, bit for bit, and as many bytes and flops as docs/cuda-kernels.md says (claims.py).

    replay.py LAUNCHES ARCH=FOLDER… [--only WORD]

A folder has the files of PTX of an architecture. Exit status 1 where a launch differs or is a fault, or a kernel was never launched.
"""

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np

from claims import COUNTS, claimed
from machine import Machine
from memory import Global
from parse import Fault, entries_of, parse

PAGE = 4096
#: Lanes that run at once: more are no faster.
MOST_LANES = 4096
#: Kernels that leave ids in the workspace in the order in which their threads came to an atomic: what is there is a set.
UNORDERED = ("sampleKernel",)


def readable(names):
    """Demangled, with the namespace of a file as C++ has it, and without types of parameters."""
    told = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return [plain(name) for name in told.splitlines()]


def plain(name):
    name = re.sub(r"_GLOBAL__N__\w+", "(anonymous namespace)", name)
    name = name.replace("(anonymous namespace)::", "").replace("quipu::cuda::", "").replace("quipu::", "").removeprefix("void ")
    depth = 0
    for at, letter in enumerate(name):  # up to the parameters
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            return name[:at]
    return name


@cache
def entries_in(folder):
    """Entries of all files of a folder by their readable names."""
    found = {}
    for path in sorted(Path(folder).glob("*.ptx")):
        found |= entries_of(path.read_text())
    return dict(zip(readable(found), found.values()))


@cache
def entry_of(folder, name):
    return parse(*entries_in(folder)[name])


@cache
def launches_in(folder):
    return [json.loads(line) for line in (Path(folder) / "launches.jsonl").read_text().splitlines()]


@cache
def pages_in(folder):
    return np.memmap(Path(folder) / "pages.bin", np.uint8, "r").reshape(-1, PAGE)


def contents(folder, piece, when):
    return pages_in(folder)[piece[when]].reshape(-1)[: piece["bytes"]]


def replay(folder, launch, entry):
    """The memory that the PTX leaves; the wavefronts of shared memory: of its accesses, and the fewest there could be; counts."""
    memory = Global([(piece["address"], contents(folder, piece, "before")) for piece in launch["memory"]])
    arguments = [bytes.fromhex(text) for text in launch["arguments"]]
    grid, block = launch["grid"], launch["block"]
    blocks = grid[0] * grid[1] * grid[2]
    wavefronts, counts = np.zeros(2, np.int64), dict.fromkeys(COUNTS, 0)
    at_once = max(1, MOST_LANES // max(32, block[0]))
    for first in range(0, blocks, at_once):
        count = min(at_once, blocks - first)
        machine = Machine(entry, arguments, grid, block, launch["shared"], memory, first, count)
        machine.run()
        wavefronts += machine.wavefronts
        counts = {name: count + machine.counts[name] for name, count in counts.items()}
    return memory, wavefronts, counts


def unclaimed(folder, launch, counts):
    """What is counted and is not what is claimed; None where all of it is."""

    def before(address, count):
        for piece in launch["memory"]:
            if piece["address"] <= address < piece["address"] + piece["bytes"]:
                at = address - piece["address"]
                return contents(folder, piece, "before")[at : at + count].tobytes()
        raise Fault(f"{address:#x} belongs to nothing")

    claims = claimed(plain(launch["kernel"]), launch, before) or {}
    wrong = [f"{name}: {count} by its claim, counted {counts[name]}" for name, count in claims.items() if counts[name] != count]
    return "; ".join(wrong) or None


def difference(folder, launch, memory):
    """What is not as the emulator left it; None where all of it is."""
    for i, piece in enumerate(launch["memory"]):
        expected, got = contents(folder, piece, "after"), memory.contents(piece["address"])
        wrong = np.flatnonzero(expected != got)
        if len(wrong) == 0:
            continue
        if plain(launch["kernel"]).startswith(UNORDERED) and len(expected) % 8 == 0:
            if np.array_equal(np.sort(expected.view(np.uint64)), np.sort(got.view(np.uint64))):
                continue
        at = int(wrong[0]) // 4 * 4
        words = [np.frombuffer(data[at : at + 4].tobytes().ljust(4, b"\0"), np.uint32)[0] for data in (expected, got)]
        numbers = [word.view(np.float32) for word in words]
        return (
            f"{len(wrong)} bytes of allocation {i} of {piece['bytes']}: at byte {at} expected {words[0]:#010x} ({numbers[0]:g}), "
            f"got {words[1]:#010x} ({numbers[1]:g})"
        )
    return None


def run(task):
    """(kernel, what is wrong or None, wavefronts, seconds) of a task (launches, index, architecture, folder)."""
    folder, index, _, ptx = task
    launch = launches_in(folder)[index]
    name = plain(launch["kernel"])
    started = time.monotonic()
    wavefronts = [0, 0]
    try:
        if name not in entries_in(ptx):
            raise Fault("there is no such entry in the PTX")
        memory, wavefronts, counts = replay(folder, launch, entry_of(ptx, name))
        wrong = difference(folder, launch, memory) or unclaimed(folder, launch, counts)
    except Fault as fault:
        wrong = str(fault)
    return name, wrong, wavefronts, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launches")
    parser.add_argument("ptx", nargs="+", metavar="ARCH=FOLDER")
    parser.add_argument("--only", default="", help="kernels whose names have this in them")
    parser.add_argument("--wavefronts", help="file for how many times the fewest wavefronts of shared memory a kernel takes")
    given = parser.parse_args()
    folders = dict(each.split("=", 1) for each in given.ptx)
    launches = launches_in(given.launches)
    chosen = [i for i, launch in enumerate(launches) if given.only in plain(launch["kernel"])]
    # What is the same for several architectures runs once.
    tasks, alike = [], {}
    for i in chosen:
        for architecture, ptx in folders.items():
            entry = entries_in(ptx).get(plain(launches[i]["kernel"]))
            first = alike.setdefault((i, entry and entry[:3]), [])
            if not first:
                tasks.append((given.launches, i, architecture, ptx, first))
            first.append(architecture)
    failures, seconds, done, wavefronts = [], {}, {}, {}
    with multiprocessing.Pool() as pool:
        for task, (name, wrong, fronts, took) in zip(tasks, pool.imap(run, [task[:-1] for task in tasks])):
            seconds[name] = seconds.get(name, 0) + took
            wavefronts.setdefault(name, {}).setdefault(task[-1][0], np.zeros(2, np.int64))[:] += fronts
            for architecture in task[-1]:
                done[name, architecture] = done.get((name, architecture), 0) + 1
            if wrong is not None:
                failures.append(f"{' '.join(task[-1])} {name}: {wrong}")
    for architecture, ptx in folders.items():
        for name in entries_in(ptx):
            if given.only in name and (name, architecture) not in done:
                failures.append(f"{architecture} {name}: no launch of it was recorded")
    kernels = sorted(seconds)
    for name in kernels:
        counts = " ".join(f"{architecture}:{done.get((name, architecture), 0)}" for architecture in folders)
        print(f"{counts}  {seconds[name]:6.1f} s  {name}")
    if given.wavefronts:
        most = {name: max(float(a / b) if b else 1.0 for a, b in of.values()) for name, of in wavefronts.items()}
        Path(given.wavefronts).write_text(json.dumps(most))
    for failure in sorted(failures):
        print(failure, file=sys.stderr)
    print(f"{sum(done.values())} launches of {len(kernels)} kernels, {len(tasks)} of them different, {len(failures)} wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
