"""PTX as nvcc emits it, read into entries with decoded instructions. What is not understood is a Fault."""

import re
from dataclasses import dataclass, field


class Fault(Exception):
    """The PTX does what it may not, or what nothing here knows."""


@dataclass(frozen=True)
class Register:
    name: str


@dataclass(frozen=True)
class Immediate:
    """A whole number, or the bits of a floating-point one with their width."""

    value: int
    bits: int | None = None


@dataclass(frozen=True)
class Symbol:
    name: str


@dataclass(frozen=True)
class Address:
    base: object  # Register, Symbol or Immediate
    offset: int


@dataclass(frozen=True)
class Vector:
    parts: tuple


@dataclass
class Instruction:
    op: str
    operands: tuple
    predicate: str | None
    negated: bool
    text: str


@dataclass
class Variable:
    """Of shared or local memory; `size` None: what the launch asked for."""

    space: str
    size: int | None
    align: int


@dataclass
class Entry:
    name: str
    params: dict = field(default_factory=dict)  # name → bytes, in order
    registers: dict = field(default_factory=dict)  # name or prefix → bits (1: predicate)
    variables: dict = field(default_factory=dict)
    code: list = field(default_factory=list)
    labels: dict = field(default_factory=dict)  # name → index into code
    tables: dict = field(default_factory=dict)  # of brx.idx: name → labels

    def bits_of(self, register):
        if register in self.registers:
            return self.registers[register]
        prefix = register.rstrip("0123456789")
        if prefix in self.registers:
            return self.registers[prefix]
        raise Fault(f"{self.name}: register {register} is not declared")


WIDTHS = {"pred": 1, "b8": 8, "u8": 8, "s8": 8, "f16": 16, "bf16": 16, "f16x2": 32, "bf16x2": 32}
WIDTHS |= {f"{kind}{bits}": bits for kind in "bus" for bits in (16, 32, 64, 128)} | {"f32": 32, "f64": 64}

_ENTRY = re.compile(r"(?:\.(?:visible|weak)\s+)?\.entry\s+([\w$]+)\s*\(([^)]*)\)([^{]*)\{")
_PARAM = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+(?:\.ptr\s+[.\w\s]*?)?([\w$]+)(?:\[(\d+)\])?\s*$")
_VARIABLE = re.compile(r"(?:\.extern\s+)?\.(shared|local)\s+\.align\s+(\d+)\s+\.(\w+)\s+([\w$]+)(?:\[(\d*)\])?")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


def entries_of(text):
    """The entries of a file by name, each as text: they are parsed when they are asked for."""
    text = _COMMENT.sub("", text)  # and lines that only tell of sources, which have no semicolon
    text = re.sub(r"^\s*\.(loc|file)\b[^\n]*$", "", text, flags=re.M)
    shared = {m[4]: _variable(m) for m in _VARIABLE.finditer(_outside(text))}
    found = {}
    for match in _ENTRY.finditer(text):
        end = _closing(text, match.end() - 1)
        found[match[1]] = (match[1], match[2], text[match.end() : end], shared)
    return found


def parse(name, params, body, shared):
    entry = Entry(name, variables=dict(shared))
    for param in filter(None, (p.strip() for p in params.split(","))):
        match = _PARAM.match(param)
        if match is None:
            raise Fault(f"{name}: parameter {param!r}")
        entry.params[match[2]] = WIDTHS[match[1]] // 8 * int(match[3] or 1)
    for statement in body.split(";"):
        _statement(entry, statement.strip())
    return entry


def _outside(text):
    """What is outside of entries."""
    parts, at = [], 0
    for match in _ENTRY.finditer(text):
        parts.append(text[at : match.start()])
        at = _closing(text, match.end() - 1)
    return "".join([*parts, text[at:]])


def _closing(text, at):
    depth = 0
    for brace in re.finditer(r"[{}]", text[at:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return at + brace.start()
    raise Fault("a brace is not closed")


def _variable(match):
    size = None if match[5] == "" else int(match[5] or 1) * WIDTHS[match[3]] // 8
    return Variable(match[1], size, int(match[2]))


def _statement(entry, text):
    while text:
        label = re.match(r"([$\w]+):(?!:)\s*", text)
        if label:
            entry.labels[label[1]] = len(entry.code)
            text = text[label.end() :]
        elif text[0] in "{}":
            text = text[1:].lstrip()  # names of inner scopes are their own
        else:
            break
    if not text or re.match(r"\.pragma\b", text):
        return
    if text.startswith(".reg"):
        _registers(entry, text)
    elif text.startswith((".shared", ".local", ".extern")):
        match = _VARIABLE.match(text)
        entry.variables[match[4]] = _variable(match)
    elif text.startswith(".branchtargets"):
        name = next(label for label, at in reversed(entry.labels.items()) if at == len(entry.code))
        entry.tables[name] = [part.strip() for part in text.removeprefix(".branchtargets").split(",")]
    elif text.startswith("."):
        raise Fault(f"{entry.name}: {text}")
    else:
        entry.code.append(_instruction(text))


def _registers(entry, text):
    kind, names = re.match(r"\.reg\s+\.(\w+)\s+(.*)", text, re.S).groups()
    for name in names.split(","):
        many = re.match(r"\s*([%$\w]+)<\d+>", name)
        entry.registers[many[1] if many else name.strip()] = WIDTHS[kind]


def _instruction(text):
    match = re.match(r"(?:@(!?)(%?[\w$]+)\s+)?([\w.:]+)\s*(.*)", text, re.S)
    negated, predicate, op, rest = match.groups()
    return Instruction(op, _operands(rest), predicate, negated == "!", " ".join(text.split()))


def _operands(text):
    return tuple(_operand(part) for part in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", text))


def _operand(text):
    if text[0] == "{":
        return Vector(tuple(_operand(part.strip()) for part in text[1:-1].split(",")))
    if text[0] == "[":
        base, _, offset = text[1:-1].partition("+")
        return Address(_operand(base.strip()), int(offset or 0))
    if "|" in text:
        return Vector(tuple(_operand(part.strip()) for part in text.split("|")))
    if re.match(r"-?0[fF][0-9a-fA-F]{8}$", text):
        return Immediate(int(text[2:], 16), 32)
    if re.match(r"-?0[dD][0-9a-fA-F]{16}$", text):
        return Immediate(int(text[2:], 16), 64)
    if re.match(r"-?\d", text):
        return Immediate(int(text.rstrip("U"), 0))
    if text[0] == "%" or text == "_":
        return Register(text)
    return Symbol(text)
