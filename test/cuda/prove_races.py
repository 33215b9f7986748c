"""Proves with sentryward that kernels have no race in memory, in any schedule: of the PTX that nvcc has made, for launches that the emulator
has recorded (native/simt/recording.h).

    prove_races.py LAUNCHES FOLDER [--shapes N] [--without] [--only WORD] [--timeout SECONDS] [--memory MIB]

sentryward takes scalars, and kernels here take structs: what a launch passes is put into the PTX, but for pointers, each of which becomes a
parameter, and is taken to lie in memory of its own. Every kernel has to be free of races but those of UNSUPPORTED, which sentryward can not
follow: each in its smallest launch, or in as many shapes as --shapes says. Exit status 1 where one is not proven.

--without takes the barriers and waits out, one at a time, and says which of them are missed; none has a status.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "ptx"))
from parse import WIDTHS  # noqa: E402
from replay import entries_in, launches_in, plain  # noqa: E402

SENTRYWARD = Path(sys.executable).parent / "sentryward"
SECONDS = 900

#: What sentryward can not follow: kernels whose names begin, or end, like that, and why.
UNSUPPORTED = {
    "advanceKernel": "has one thread: a part of a warp",
    "appendCodesKernel": "branches on the page table",
    "appendKernel": "branches on the page table",
    "chunkKernel": "branches on positions and the page table",
    "gatherKernel": "branches on ids",
    "gatherNormKernel": "branches on ids",
    "mergeKernel": "branches on positions",
    "plainKernel": "branches on positions and the page table",
    "promptKernel": "branches on positions and the page table",
    "resumeKernel": "branches on slots and positions",
    "sampleKernel": "branches on logits, and on atomics",
    "QkvOp>": "branches on the page table",
}

#: Whatever orders accesses, in PTX.
_ORDER = re.compile(r"(?:bar\.sync|barrier\.sync|bar\.warp\.sync|cp\.async\.wait_group)\s+[^;]+;")
_PARAM_LOAD = re.compile(r"ld\.param(?:\.(v[24]))?\.(\w+)\s+(\{[^}]*\}|[%\w]+),\s*\[([\w$]+)(?:\+(\d+))?\]\s*;")


def specialised(head, entry, launch):
    """A module of one entry, "kernel", with the launch's arguments in it but for pointers."""
    _, params, body, shared = entry
    names = re.findall(r"([\w$]+)(?:\[\d+\])?\s*(?:,|$)", params)
    given = dict(zip(names, (bytes.fromhex(text) for text in launch["arguments"])))
    ranges = [(piece["address"], piece["address"] + piece["bytes"]) for piece in launch["memory"]]
    pointers = {}

    def load(match):
        vector, kind, target, param, offset = match.groups()
        targets = re.findall(r"[%\w]+", target)
        width, offset = WIDTHS[kind] // 8, int(offset or 0)
        moves = []
        for i, register in enumerate(targets):
            at = offset + i * width
            value = int.from_bytes(given[param][at : at + width], "little")
            if width == 8 and any(low <= value < high for low, high in ranges):
                pointer = pointers.setdefault((param, at), (f"pointer_{len(pointers)}", value))
                moves.append(f"ld.param.u64 {register}, [{pointer[0]}];")
            elif kind == "f32":
                moves.append(f"mov.f32 {register}, 0f{value:08X};")
            else:
                moves.append(f"mov.{'u16' if width < 4 else f'u{8 * width}'} {register}, {value};")
        return "\n".join(moves)

    body = _fields_spelled_out(_addresses_known(_PARAM_LOAD.sub(load, _without_hints(body)), pointers))
    declared = ",\n".join(f".param .u64 .ptr .global .align 16 {pointer}" for pointer, _ in pointers.values())
    dynamic = [f".extern .shared .align {v.align} .b8 {n}[];" for n, v in shared.items() if v.size is None]
    fixed = [f".shared .align {v.align} .b8 {n}[{v.size}];" for n, v in shared.items() if v.size is not None]
    return "\n".join([*head, *dynamic, *fixed, f".visible .entry kernel(\n{declared}\n)\n{{{body}}}\n"])


def _without_hints(body):
    """Async copies without what the L2 cache is told of them."""
    body = re.sub(r"createpolicy\.[^;]+;", "", body)
    return re.sub(r"(cp\.async\.\S+)\.L2::cache_hint ([^;]+), %\w+;", r"\1 \2;", body)


def _addresses_known(body, pointers):
    """Answers what is asked of a pointer itself: whether there is one, and how it is aligned."""
    values = dict(pointers.values())
    known = {register: values[name] for register, name in re.findall(r"ld\.param\.u64 (\S+), \[(\w+)\];", body)}
    same = re.compile(r"(?:cvta\.to\.global|mov)\.[bu]64\s+(\S+), (\S+);|cvt\.u32\.u64\s+(\S+), (\S+);")
    for match in same.finditer(body):
        target, source = [part for part in match.groups() if part]
        if source in known:
            known[target] = known[source]

    def masked(match):
        kind, target, register, mask = match.groups()
        if register not in known or int(mask) >= 4096:
            return match[0]
        return f"mov.u{kind[1:]} {target}, {known[register] & int(mask)};"

    def compared(match):
        relation, target, register = match.groups()
        return f"mov.pred {target}, {int(relation == 'ne')};" if register in known else match[0]

    body = re.sub(r"and\.(b32|b64)\s+(\S+), (\S+), (\d+);", masked, body)
    return re.sub(r"setp\.(eq|ne)\.[bsu]64\s+(\S+), (\S+), 0;", compared, body)


def _fields_spelled_out(body):
    """bfi, and prmt in its place, which sentryward takes for unknown numbers, as shifts and masks."""

    def spelled(match):
        bits, target, source, into, start, length = match.groups()
        field = (1 << int(length)) - 1
        rest = ~(field << int(start)) % (1 << int(bits))
        part, other = f"%field{bits}_0", f"%field{bits}_1"
        return (
            f"and.b{bits} {part}, {source}, {field};\nshl.b{bits} {part}, {part}, {start};\n"
            f"and.b{bits} {other}, {into}, {rest};\nor.b{bits} {target}, {part}, {other};"
        )

    # A prmt that stands for one: a field of the lowest byte.
    body = re.sub(r"prmt\.b32\s+(\S+), (\S+), (\S+), 8452;", r"bfi.b32 \1, \2, \3, 8, 24;", body)
    declared = "\n.reg .b32 %field32_<2>;\n.reg .b64 %field64_<2>;\n"
    return declared + re.sub(r"bfi\.b(\d\d)\s+(\S+), (\S+), (\S+), (\d+), (\d+);", spelled, body)


def head_of(folder):
    """Version and target of the modules."""
    text = next(Path(folder).glob("*.ptx")).read_text()
    return re.findall(r"^\.(?:version|target|address_size).*$", text, re.M)


def orders_in(folder, name):
    """The barriers and waits of a kernel, as PTX has them."""
    return [" ".join(match[0].split()) for match in _ORDER.finditer(entries_in(folder)[name][2])]


def prove(folder, name, launch, given, without=None):
    """(result, reason, seconds); `without`: the number of a barrier or wait that is left out."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        ptx, config = Path(scratch) / "kernel.ptx", Path(scratch) / "input.json"
        text = specialised(head_of(folder), entries_in(folder)[name], launch)
        if without is not None:
            found = list(_ORDER.finditer(text))[without]
            text = text[: found.start()] + text[found.end() :]
        ptx.write_text(text)
        grid = grid_of(name, launch)
        sizes = {"grid_dim": grid, "block_dim": launch["block"], "cluster_dim": [1, 1, 1]}
        config.write_text(
            json.dumps(
                {
                    "schema": "spverify.kernel-input/v1",
                    "entry": "kernel",
                    "launch": sizes | {"dynamic_shared_bytes": launch["shared"]},
                }
            )
        )
        command = [str(SENTRYWARD), str(ptx), "--input", str(config), "--timeout", str(given.timeout), "--memory-limit-mib", str(given.memory)]
        told = subprocess.run(command, capture_output=True, text=True)
        try:
            report = json.loads(told.stdout)
        except ValueError:
            return "tool_failure", told.stderr[-300:], time.monotonic() - started
    reasons = sorted({d.get("code", "") + ": " + str(d.get("message", ""))[:200] for d in report.get("diagnostics", [])})
    return report["result"], "; ".join(reasons), time.monotonic() - started


def grid_of(name, launch):
    """
    The blocks that are proven: those of the launch, or of products fewer. Blocks share only what they read, and two of them show that they do not
    write to the same place. Those of productKernel go through all tiles however many they are; where each narrows the activations for itself, one
    takes half a minute, and several tiles more: three.
    """
    if name.startswith(("denseKernel", "wideKernel", "plainProductKernel")):
        return [1, 1, 1]
    if not name.startswith("productKernel"):
        return launch["grid"]
    most = launch["grid"][0]
    return [-(-most // 3) if ", 1, true, " in name else min(most, 2), 1, 1]


def reason_against(name):
    """Why a kernel is not one that can be proven; None for one that can."""
    return next((why for key, why in UNSUPPORTED.items() if name.startswith(key) or name.endswith(key)), None)


def shape_of(launch):
    """What proofs of a kernel differ by: its grid, its shared memory, and what is passed but for pointers."""
    ranges = [(piece["address"], piece["address"] + piece["bytes"]) for piece in launch["memory"]]
    passed = []
    for given in (bytes.fromhex(text) for text in launch["arguments"]):
        words = [int.from_bytes(given[i : i + 8], "little") for i in range(0, len(given), 8)]
        passed.append([0 if any(low <= word < high for low, high in ranges) else word for word in words])
    return json.dumps([launch["grid"], launch["shared"], passed])


def bytes_of(launch):
    """The memory that a launch's arguments point to."""
    return sum(piece["bytes"] for piece in launch["memory"])


def miss_barriers(given, launches):
    """Takes what orders accesses out, one at a time."""
    tasks = [
        (name, launches[name][0], i, order)
        for name in sorted(launches)
        if given.only in name and reason_against(name) is None
        for i, order in enumerate(orders_in(given.ptx, name))
    ]
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda task: prove(given.ptx, task[0], task[1], given, task[2]), tasks)
        for (name, _, i, order), (result, _, seconds) in zip(tasks, results):
            missed += result != "race_free"
            print(f"{result:15} {seconds:6.1f} s  {name} without its {i + 1}. {order}", flush=True)
    print(f"{missed} of {len(tasks)} barriers and waits are missed")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launches")
    parser.add_argument("ptx")
    parser.add_argument("--shapes", type=int, default=1, help="of each kernel, as many as were recorded")
    parser.add_argument("--only", default="", help="kernels whose names have this in them")
    parser.add_argument("--timeout", type=int, default=SECONDS, help="for each launch")
    parser.add_argument("--memory", type=int, default=9000, help="MiB for each launch, of which two are proven at a time")
    parser.add_argument("--without", action="store_true", help="barriers and waits, one at a time: which are missed")
    given = parser.parse_args()
    launches = {}
    for launch in sorted(launches_in(given.launches), key=bytes_of):
        launches.setdefault(plain(launch["kernel"]), {}).setdefault(shape_of(launch), launch)
    launches = {name: list(of.values()) for name, of in launches.items()}
    if given.without:
        return miss_barriers(given, launches)
    for key, why in UNSUPPORTED.items():
        count = sum(name.startswith(key) or name.endswith(key) for name in launches if given.only in name)
        print(f"unsupported: {count} × {key}: {why}")
    chosen = [
        (name, launch)
        for name, of in sorted(launches.items())
        if given.only in name and reason_against(name) is None
        for launch in of[: given.shapes]
    ]
    failures = [f"{name}: no launch of it was recorded" for name in entries_in(given.ptx) if name not in launches]
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda each: prove(given.ptx, *each, given), chosen)
        for (name, _), (result, reason, seconds) in zip(chosen, results):
            print(f"{result:12} {seconds:6.1f} s  {name}", flush=True)
            if result != "race_free":
                failures.append(f"{name}: {result}: {reason}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(chosen)} launches, {len(failures)} not proven")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
