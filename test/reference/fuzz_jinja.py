"""Compares quipu's Jinja with Jinja2 under transformers' environment on generated templates.

    python fuzz_jinja.py [--cases 20000] [--seed 1] [--show 20]

Templates are drawn from a grammar of typed expressions and of statements, over one context; some are drawn without types, so that
errors are compared too. Where Python renders, quipu must give the same text, or refuse by name (`Unsupported`, counted). Where Python
raises, quipu must too. Ends with status 1 where one differs.
"""

import argparse
import collections
import copy
import json
import pathlib
import random
import signal
import subprocess
import sys
import warnings

from transformers.utils.chat_template_utils import _cached_compile_jinja_template

ROOT = pathlib.Path(__file__).resolve().parents[2]

CONTEXT = {
    "s": "Hello, World",
    "t": "  a b\tc \n",
    "e": "",
    "z": "naïve 😀 ﬁn ß",
    "h": "<b>&'\"</b>",
    "q": "it's \"q\"\\ \x7f\u00a0\u2028",
    "n": 7,
    "m": -3,
    "zero": 0,
    "big": 123456789012345678901234567890,
    "f": 2.5,
    "g": -0.1,
    "one": 1.0,
    "large": 1e22,
    "yes": True,
    "no": False,
    "nil": None,
    "xs": [3, 1, 2, 10],
    "fs": [0.5, 1.5, 2],
    "ss": ["b", "A", "c", "a"],
    "mix": [1, "x", None, True, 2.0, [1, 2], {"k": "v"}],
    "empty": [],
    "d": {"a": 1, "b": "two", "c": [1, 2], "items": 5},
    "ed": {},
    "ms": [
        {"role": "system", "content": "You are\n  helpful."},
        {"role": "user", "content": " Hi <there> "},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1.5, "y": [True, None]}}]},
        {"role": "user", "content": [{"type": "text", "text": "part"}, {"type": "image"}]},
    ],
    "users": [{"name": "ann", "age": 30}, {"name": "Bob", "age": 25}, {"name": "cy", "age": 30}],
}

STRINGS = ["s", "t", "e", "z", "h", "q"]
INTS = ["n", "m", "zero", "big"]
FLOATS = ["f", "g", "one", "large"]
BOOLS = ["yes", "no"]
LISTS = ["xs", "fs", "ss", "mix", "empty", "ms", "users"]
DICTS = ["d", "ed"]
UNDEFINED = ["u", "nope"]
LITERALS = [
    "'a'", '"b c"', "''", "'x,y,,z'", r"'tab\there'", r"'\u00e9\x41\n'", "'é😀'", "'%s'", "'%d-%5.1f'", "'{} {}'", "'A-b c'", "'abcabc'",
    "'12'", "' 3.5 '", "'0x1f'", "'l\\nm\\r\\nn'",
]


# Jinja2 does not see an unknown filter or test where a constant decides that it is not reached; quipu refuses it.
UNKNOWN = ("No filter named", "No test named")


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.names = []

    def pick(self, *options):
        option = self.rng.choice(options)
        return option() if callable(option) else option

    def expr(self, kind, depth):
        rng = self.rng
        if depth > 0 and rng.random() < 0.05:
            kind = rng.choice(["str", "int", "float", "bool", "list", "dict", "any"])
        if kind == "any":
            kind = rng.choice(["str", "str", "int", "float", "bool", "list", "dict", "none", "undefined"])
        if depth > 0 and rng.random() < 0.06:
            a, c, b = self.expr(kind, depth - 1), self.expr("bool", depth - 1), self.expr(kind, depth - 1)
            return rng.choice([f"({a} if {c} else {b})", f"({c} and {a} or {b})", f"({a} if {c})", f"({a} or {b})", f"{a}|default({b})"])
        return getattr(self, kind)(depth)

    def none(self, depth):
        return self.pick("none", "None", "nil", "d.get('q')")

    def undefined(self, depth):
        return self.pick("u", "nope", "d.missing", "xs[99]", "s.foo", "d['zz']")

    def str(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.2:
            return self.pick(*STRINGS, *LITERALS, *LITERALS)
        S = lambda: self.expr("str", depth - 1)
        I = lambda: self.small()
        A = lambda: self.expr("any", depth - 1)
        L = lambda: self.expr("list", depth - 1)
        return self.pick(
            lambda: f"{S()} + {S()}",
            lambda: f"({S()} ~ {A()})",
            lambda: f"({A()} ~ {A()} ~ {A()})",
            lambda: f"{S()} * {I()}",
            lambda: f"{self.atom_str(depth)}[{I()}]",
            lambda: f"{self.atom_str(depth)}[{self.slice()}]",
            lambda: f"{self.atom_str(depth)}.{self.method(depth)}",
            lambda: f"{self.atom_str(depth)}.{self.method(depth)}",
            lambda: f"{self.atom_str(depth)}.{self.method(depth)}",
            lambda: f"{S()}|{self.str_filter(depth)}",
            lambda: f"{S()}|{self.str_filter(depth)}",
            lambda: f"{A()}|string",
            lambda: f"""{A()}|tojson{self.pick('', '', '(indent=2)', '(ensure_ascii=true)', '(sort_keys=true)', "(indent=4, separators=(',',':'))", '(indent=0)', "(separators=(', ', ': '))", '(none, 1)')}""",
            lambda: f"""{L()}|join{self.pick('', "(', ')", '(1)', "(d='-')")}""",
            lambda: f"{S()}.join({L()}|map('string'))",
            lambda: f"'%s|%r' % ({A()}, {A()})",
            lambda: f"'%{self.pick('', '-', '+', '0', ' ', '#')}{self.pick('', '5', '10')}{self.pick('', '.0', '.3', '.10')}{self.pick('d', 'f', 'e', 'g', 'x', 'o', 's', 'i', 'G', 'E', 'X', 'c')}' % {self.pick(lambda: self.num(1), lambda: self.expr('any', 1))}",
            lambda: f"'{{:{self.spec()}}}'.format({self.pick(lambda: self.num(1), lambda: self.expr('any', 1))})",
            lambda: f"'{{}}-{{x}}-{{0}}'.format({A()}, x={A()})" if rng.random() < 0.2 else f"'{{0}} {{y!r}} {{1[0]}}'.format({A()}, {L()}, y={A()})",
            lambda: f"'%(a)s %(b)5s' % d",
            lambda: f"{A()}|safe" if rng.random() < 0.5 else f"{A()}|e",
            lambda: f"({S()}|e) + {S()}",
            lambda: f"{self.num(1)}|filesizeformat",
            lambda: f"{S()}|first",
            lambda: f"{S()}|last",
        )

    def spec(self):
        rng = self.rng
        return (
            rng.choice(["", "", "<", ">", "^", "=", "*<", "0>", "_^"])
            + rng.choice(["", "", "+", "-", " "])
            + rng.choice(["", "", "#"])
            + rng.choice(["", "", "0"])
            + rng.choice(["", "5", "12"])
            + rng.choice(["", "", "", ",", "_"])
            + rng.choice(["", "", ".2", ".0", ".5"])
            + rng.choice(["", "", "d", "f", "e", "g", "x", "X", "b", "o", "s", "%", "n", "c", "G"])
        )

    def atom_str(self, depth):
        return self.pick(*STRINGS, *LITERALS, lambda: f"({self.expr('str', depth - 1)})")

    def small(self):
        return self.pick("0", "1", "2", "3", "-1", "-2", "5", "n", "m", "10", "true")

    def slice(self):
        part = lambda: self.pick("", "", self.small)
        text = f"{part()}:{part()}"
        return text + self.pick("", "", ":", lambda: f":{self.pick('1', '-1', '2', '-2', '3')}")

    def method(self, depth):
        S = lambda: self.pick("'a'", "' '", "','", "'b c'", "'x'", "''", "'l'", "'He'", "h", "s", "t", "'é'", "'\\n'", lambda: self.expr("str", depth - 2))
        I = self.small
        return self.pick(
            "upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "strip()", "lstrip()", "rstrip()",
            lambda: f"strip({S()})", lambda: f"lstrip({S()})", lambda: f"rstrip({S()})",
            lambda: f"replace({S()}, {S()})", lambda: f"replace({S()}, {S()}, {I()})",
            lambda: f"removeprefix({S()})", lambda: f"removesuffix({S()})",
            lambda: f"center({I()})", lambda: f"center(20, '*')", lambda: f"ljust(15)", lambda: f"rjust({I()}, '-')", lambda: f"zfill({I()})",
            lambda: f"expandtabs({self.pick('', '4', '0')})", lambda: f"join(['x', 'y', {S()}])", "partition('b')[2]", "rpartition(' ')[0]",
        )

    def str_filter(self, depth):
        S = lambda: self.expr("str", depth - 1)
        return self.pick(
            "upper", "lower", "title", "capitalize", "trim", "string", "reverse", "escape", "e", "forceescape", "safe", "striptags", "urlencode",
            "wordwrap(8)", "wordwrap(5, false)", "wordwrap(12, wrapstring='|')", "truncate(5)", "truncate(9, true)", "truncate(9, false, '…', 0)",
            "indent", "indent(2)", "indent(2, true)", "indent('>', blank=true)", "indent(first=true)", "center(20)", "center",
            lambda: f"replace({S()}, {S()})", lambda: f"replace('a', {S()}, 1)", lambda: f"trim({S()})", lambda: f"default({S()}, true)", "format(1, 2)", "list|join('.')",
        )

    def int(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.25:
            return self.pick(*INTS, "0", "1", "2", "42", "1_000", "0x1F", "0b101", "0o17", "-5")
        I = lambda: self.expr("int", depth - 1)
        return self.pick(
            lambda: f"({I()} {self.pick('+', '-', '*', '//', '%')} {I()})",
            lambda: f"{I()} {self.pick('+', '-', '*', '//', '%')} {I()}",
            lambda: f"({I()})|abs", lambda: f"-{self.expr('int', 0)}", lambda: f"{self.expr('any', depth - 1)}|int",
            lambda: f"{self.expr('str', depth - 1)}|int({self.pick('', '7', '0, 16', '1, 2', 'default=none', '0, 0')})",
            lambda: f"{self.pick(lambda: self.expr('str', depth - 1), lambda: self.expr('list', depth - 1), lambda: self.expr('dict', depth - 1))}|{self.pick('length', 'count')}",
            lambda: f"{self.atom_str(depth)}.{self.pick('find', 'count', 'rfind', 'index')}({self.pick(*LITERALS, 's')}{self.pick('', '', ', 1', ', -3', ', 1, 4', ', none, -1')})",
            lambda: f"{self.expr('list', depth - 1)}|{self.pick('sum', 'max', 'min', 'first', 'last')}",
            lambda: f"(2 ** {self.pick('0', '3', '10', '-1', 'n')})", lambda: f"{self.expr('str', depth - 1)}|wordcount",
            lambda: f"xs[{self.small()}]", lambda: f"d.{self.pick('a', 'b', 'c', 'items', 'zz')}", lambda: f"xs.index({self.small()})",
            lambda: f"users|sum(attribute='age')",
        )

    def float(self, depth):
        if depth <= 0 or self.rng.random() < 0.3:
            return self.pick(*FLOATS, "0.5", "1e3", "2.0", "1_0.5", "3.14159", "1e-7", "1.5e300")
        N = lambda: self.num(depth - 1)
        return self.pick(
            lambda: f"({N()} {self.pick('+', '-', '*', '/', '//', '%')} {self.expr('float', depth - 1)})",
            lambda: f"({N()} / {N()})", lambda: f"{N()}|float", lambda: f"{N()}|round", lambda: f"""{N()}|round({self.pick('1', '2', '-1', '0', "2, 'ceil'", "1, 'floor'", "0, 'common'")})""",
            lambda: f"{self.expr('str', depth - 1)}|float({self.pick('', '1.5')})", lambda: f"({N()})|abs", lambda: f"({self.expr('float', 0)} ** {self.pick('2', '3', '-1', '0')})",
        )

    def num(self, depth):
        return self.expr(self.rng.choice(["int", "float", "int", "bool"]), depth)

    def bool(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.15:
            return self.pick(*BOOLS, "true", "False")
        A = lambda: self.expr("any", depth - 1)
        N = lambda: self.num(depth - 1)
        S = lambda: self.expr("str", depth - 1)
        B = lambda: self.expr("bool", depth - 1)
        op = lambda: self.pick("==", "!=", "<", ">", "<=", ">=")
        return self.pick(
            lambda: f"{N()} {op()} {N()}", lambda: f"({S()} {op()} {S()})", lambda: f"{A()} {self.pick('==', '!=')} {A()}",
            lambda: f"({N()} {op()} {N()} {op()} {N()})", lambda: f"not {B()}", lambda: f"({B()} and {B()})", lambda: f"({B()} or {A()})",
            lambda: f"({S()} {self.pick('in', 'not in')} {S()})", lambda: f"{A()} {self.pick('in', 'not in')} {self.expr('list', depth - 1)}",
            lambda: f"{S()} in {self.expr('dict', depth - 1)}",
            lambda: f"{A()} is {self.pick('', 'not ')}{self.pick('defined', 'undefined', 'none', 'string', 'number', 'integer', 'float', 'boolean', 'mapping', 'sequence', 'iterable', 'true', 'false', 'callable', 'escaped', 'sameas none', 'sameas(true)')}",
            lambda: f"{N()} is {self.pick('odd', 'even', 'divisibleby 2', 'divisibleby(3)', 'eq 1', 'gt(2)', 'lt 3', 'ge 0', 'le(5)', 'ne 7', 'in xs')}",
            lambda: f"""{S()} is {self.pick('upper', 'lower', 'in s', "equalto 'a'", 'filter', 'test')}""",
            lambda: f"{self.atom_str(depth)}.{self.pick('isdigit', 'isalpha', 'isalnum', 'isupper', 'islower', 'isspace', 'istitle', 'isascii', 'isdecimal', 'isnumeric', 'isprintable', 'isidentifier')}()",
            lambda: f"""{self.atom_str(depth)}.{self.pick('startswith', 'endswith')}({self.pick(*LITERALS, "('a', 'H')", "'H', 1", "'e', 1, 3")})""",
            lambda: f"{self.expr('list', depth - 1)} == {self.expr('list', depth - 1)}",
            lambda: f"({self.expr('list', depth - 1)} {op()} {self.expr('list', depth - 1)})",
        )

    def list(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.2:
            return self.pick(*LISTS, "[]", "[1, 2]", "['a', 'b']", "(1,)", "()", "range(3)", "(1, 'x')")
        A = lambda: self.expr("any", depth - 1)
        L = lambda: self.expr("list", depth - 1)
        return self.pick(
            lambda: f"[{', '.join(A() for _ in range(rng.randint(0, 3)))}]", lambda: f"({A()}, {A()})",
            lambda: f"{L()} + {L()}", lambda: f"{self.pick(*LISTS)}[{self.slice()}]", lambda: f"{L()} * {self.pick('0', '2', '-1', 'yes')}",
            lambda: f"{L()}|{self.list_filter(depth)}", lambda: f"{L()}|{self.list_filter(depth)}", lambda: f"{L()}|{self.list_filter(depth)}",
            lambda: f"""{self.atom_str(depth)}.{self.pick('split', 'rsplit')}({self.pick('', "' '", "','", 'none, 1', "'b', 1", "'l', maxsplit=2", "sep='a'")})""",
            lambda: f"""{self.atom_str(depth)}.{self.pick('splitlines()', 'splitlines(true)', "partition(' ')", "rpartition('b')")}""",
            lambda: f"{self.expr('str', depth - 1)}|list", lambda: f"range({self.small()}{self.pick('', ', 6', ', 10, 3', ', 0, -1')})",
            lambda: f"{self.expr('dict', depth - 1)}.{self.pick('keys()', 'values()', 'items()')}|list", lambda: f"""{self.expr('dict', depth - 1)}|{self.pick('list', 'dictsort', 'dictsort(true)', "dictsort(by='value')", 'dictsort(reverse=true)', 'items|list')}""",
            lambda: f"{self.expr('dict', depth - 1)}.{self.pick('keys()', 'values()', 'items()')}", lambda: f"mix[{self.small()}]",
        )

    def list_filter(self, depth):
        return self.pick(
            "sort", "sort(reverse=true)", "sort(case_sensitive=true)", "sort(attribute='age')", "sort(attribute='age,name', reverse=true)", "reverse|list", "list", "unique|list", "unique(true)|list",
            "map('upper')|list", "map('string')|list", "map(attribute='role')|list", "map(attribute='name', default='?')|list", "map('default', 'x')|list", "map('int')|list", "map('length')|list",
            "select|list", "reject|list", "select('odd')|list", "select('string')|list", "reject('none')|list", "select('gt', 1)|list", "select('in', xs)|list", "selectattr('role', 'equalto', 'user')|list", "selectattr('content')|list",
            "rejectattr('role', 'eq', 'user')|list", "selectattr('tool_calls', 'defined')|list", "selectattr('age', '>', 26)|map(attribute='name')|list", "batch(2)|list", "batch(3, 'f')|list", "slice(2)|list", "slice(3, 'f')|list",
            "groupby('age')", "groupby('name')|list", "groupby('role', default='x')|map(attribute='grouper')|list", "groupby('age')|map('last')|map('length')|list", "map(attribute=0)|list", "map('join', '-')|list", "map('tojson')|list", "map('replace', 'a', 'b')|list",
        )

    def dict(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.3:
            return self.pick(*DICTS, "{}", "{'k': 1}", "ms[0]", "ms[2]", "users[1]", "{1: 'a', 1.0: 'b', true: 'c'}")
        A = lambda: self.expr("any", depth - 1)
        K = lambda: self.pick("'a'", "'k'", "1", "2.0", "none", "true", "(1, 2)", "'b'", lambda: self.expr("str", depth - 1))
        return self.pick(
            lambda: "{" + ", ".join(f"{K()}: {A()}" for _ in range(rng.randint(0, 3))) + "}", lambda: f"dict(a={A()}, b={A()})", lambda: f"dict([('x', {A()})])", lambda: f"dict({self.expr('dict', depth - 1)}, z={A()})",
            lambda: f"mix[6]", lambda: f"ms|{self.pick('first', 'last')}", lambda: f"dict.fromkeys({self.expr('list', depth - 1)}, 1)",
        )

    # Without types: mostly errors, which must be errors on both sides.
    def wild(self, depth):
        rng = self.rng
        if depth <= 0:
            return rng.choice(STRINGS + INTS + FLOATS + BOOLS + LISTS + DICTS + UNDEFINED + LITERALS + ["nil", "1", "0", "true", "none", "range", "dict", "namespace()", "loop"])
        W = lambda: self.wild(depth - 1)
        return self.pick(
            lambda: f"{W()} {rng.choice(['+', '-', '*', '/', '//', '%', '~', '==', '<', '>=', '!=', 'in', 'not in', 'and', 'or', 'is', 'is not'])} {W()}",
            lambda: f"({W()})", lambda: f"not {W()}", lambda: f"-{W()}", lambda: f"{W()}.{rng.choice(['a', 'strip', 'items', 'append', 'get', '__class__', 'x', 'upper', 'keys', 'real', 'index', 'count', 'copy', 'pop', '_x', 'imag', 'format', 'start'])}",
            lambda: f"{W()}[{W()}]", lambda: f"{W()}({W()})", lambda: f"{W()}.{rng.choice(['strip', 'items', 'get', 'upper', 'split', 'index', 'append', 'count', 'copy', 'startswith', 'join'])}({rng.choice(['', W()])})", lambda: f"""{W()}|{rng.choice(['abs', "attr('a')", 'batch(2)|list', 'capitalize', 'center', 'count', 'default(1)', 'dictsort', 'escape', 'filesizeformat', 'first', 'float', 'format(1)', "groupby('a')", 'indent', 'int', 'items|list', 'join', 'last', 'length', 'list', 'lower', "map('upper')|list", 'max', 'min', 'reverse', 'round', 'sort', 'string', 'sum', 'title', 'tojson', 'trim', 'truncate(3)', 'unique|list', 'upper', 'urlencode', 'wordcount', 'wordwrap(3)', 'xmlattr', 'select|list', 'striptags', "replace('a', 1)", 'slice(2)|list', 'safe', 'nofilter'])}""",
            lambda: f"[{W()}, {W()}]", lambda: f"{{{W()}: {W()}}}", lambda: f"({W()} if {W()} else {W()})", lambda: f"{W()}[{self.slice()}]", lambda: f"{W()} is {rng.choice(['odd', 'defined', 'string', 'divisibleby 2', 'in xs', 'mapping', 'lower', 'sequence', 'iterable', 'eq 1', 'gt 1', 'sameas yes', 'notest'])}",
            lambda: f"range({W()}, {W()})", lambda: f"dict({W()})", lambda: f"namespace({W()})", lambda: f"'{{}} {{}}'.format({W()})", lambda: f"'%s %d' % {W()}", lambda: f"cycler({W()}).next()",
        )

    # Statements.
    def open(self):
        return "{%" + self.pick("", "", "", "-", "+") + " "

    def close(self):
        return " " + self.pick("", "", "", "-", "+") + "%}"

    def tag(self, text):
        return self.open() + text + self.close()

    def text(self):
        return self.pick("a", " ", "\n", "  \n", "text ", "\n  ", "x\n", "\t", "", "\n\n", "é ", "\r\n", "{", "}", "# ", "\x85", "\r")

    def print(self):
        expr = self.expr("any", self.rng.randint(0, 2)) if self.rng.random() < 0.6 else self.name()
        return "{{" + self.pick("", "", "-", "+") + " " + expr + " " + self.pick("", "", "-") + "}}"

    def name(self):
        return self.pick("a", "b", "x", "y", "loop.index", "loop.last", "ns.v", "m1(1)", "m1(x, y=2)", "caller()", "loop.previtem", "loop.nextitem", "loop.revindex", "loop.length", "loop.cycle('p', 'q')", "loop.changed(x)", "loop.depth0", "x", "a", "s", "n", "xs", "varargs", "kwargs")

    def body(self, depth, kinds=None):
        return "".join(self.statement(depth) for _ in range(self.rng.randint(0, 3)))

    def statement(self, depth):
        rng = self.rng
        if depth <= 0:
            return self.pick(self.text, self.text, self.print)
        B = lambda: self.body(depth - 1)
        var = lambda: self.pick("a", "b", "x", "y")
        E = lambda: self.pick(lambda: self.expr("any", 1), self.name)
        it = lambda: self.pick("xs", "ss", "range(3)", "d", "d.items()", "empty", "u", "s", "[1, 2]", "users", "xs|select('odd')", "[(1, 2), (3, 4)]", "x", "[[1, [2]], 3]")
        return self.pick(
            self.text, self.print, self.print,
            lambda: "{#" + self.pick("", "-", "+") + " note %} " + self.pick("", "-", "+") + "#}",
            lambda: self.tag(f"raw") + self.pick("{{ x }}", " {% if %} ", "") + self.tag("endraw"),
            lambda: self.tag(f"set {var()} = {E()}"), lambda: self.tag(f"set {var()}, {var()} = {self.pick('1, 2', 'xs[:2]', E)}"), lambda: self.tag(f"set ns.v = {E()}"), lambda: self.tag("set ns = namespace(v=0)"),
            lambda: self.tag(f"set {var()}{self.pick('', ' | upper', ' | trim | length')}") + B() + self.tag("endset"),
            lambda: self.tag(f"if {self.pick(lambda: self.expr('bool', 1), E)}") + B() + self.pick("", lambda: self.tag(f"elif {E()}") + B()) + self.pick("", lambda: self.tag("else") + B()) + self.tag("endif"),
            lambda: self.tag(f"if {self.pick(lambda: self.expr('bool', 1), E)}") + B() + self.pick("", lambda: self.tag("else") + B()) + self.tag("endif"),
            lambda: self.tag(f"for {self.pick(var, var, var, 'a, b')} in {it()}{self.pick('', '', '', ' if x', ' if a is defined', ' if loop is defined')}{self.pick('', '', '', '', ' recursive')}") + B() + self.pick("", "", lambda: "{{ loop(x) if x is iterable and x is not string }}") + self.pick("", "", lambda: self.tag(self.pick("if loop.index == 2", "if x == 1")) + self.tag(self.pick("break", "continue")) + self.tag("endif")) + B() + self.pick("", "", lambda: self.tag("else") + B()) + self.tag("endfor"),
            lambda: self.tag(f"for {self.pick(var, var, var, 'a, b')} in {it()}") + B() + self.tag("endfor"),
            lambda: self.tag(f"macro m1({self.pick('', 'x', 'x, y=1', 'a, b=a', 'x=s')})") + B() + self.tag("endmacro"),
            lambda: self.tag(f"call{self.pick('', '(x)', '(a, b=2)')} m1({self.pick('', '1', 'x')})") + B() + self.tag("endcall"),
            lambda: self.tag(f"""filter {self.pick('upper', 'trim', "replace('a', 'b')", 'indent(2)|upper', 'length')}""") + B() + self.tag("endfilter"),
            lambda: self.tag(f"with {var()} = {E()}{self.pick('', lambda: f', {var()} = {E()}')}") + B() + self.tag("endwith"),
            lambda: self.tag(f"block b{rng.randint(0, 9)}{self.pick('', '', ' scoped')}") + B() + self.tag("endblock"),
            lambda: self.tag("generation") + B() + self.tag("endgeneration"),
            lambda: self.tag(f"print {E()}, {E()}"),
        )

    def case(self):
        roll = self.rng.random()
        if roll < 0.5:
            return "{{ " + self.expr("any", self.rng.randint(1, 4)) + " }}"
        if roll < 0.65:
            return "{{ " + self.wild(self.rng.randint(1, 3)) + " }}"
        head = self.pick("", "{% set ns = namespace(v=1) %}", "{% macro m1(x=0, y=1) %}({{ x }}{{ y }}){% endmacro %}", "{% macro m1() %}{{ caller() }}{{ varargs }}{{ kwargs }}{% endmacro %}", "{% set x = 5 %}")
        return head + "".join(self.statement(self.rng.randint(1, 3)) for _ in range(self.rng.randint(1, 4)))


class Quipu:
    def __init__(self):
        self.process = subprocess.Popen(
            ["node", str(ROOT / "test/reference/render_jinja.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def render(self, cases, context):
        self.process.stdin.write("".join(json.dumps({"template": case, "context": context}) + "\n" for case in cases))
        self.process.stdin.flush()
        return [json.loads(self.process.stdout.readline()) for _ in cases]


class TooLong(Exception):
    pass


def too_long(*_):
    raise TooLong


def python_render(template):
    """(text, None) or (None, error)."""
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        # A fresh context: the indent filter extends a list that it is given, before it fails.
        return _cached_compile_jinja_template(template).render(**copy.deepcopy(CONTEXT)), None
    except Exception as error:  # noqa: BLE001: whatever a template raises
        return None, error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cases", type=int, default=20000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--show", type=int, default=20)
    options = arguments.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    generator = Generator(random.Random(options.seed))
    quipu = Quipu()
    context = json.dumps(CONTEXT)
    counts = collections.Counter()
    kinds = collections.Counter()
    refused = collections.Counter()
    shown = 0
    done = 0
    while done < options.cases:
        cases = [generator.case() for _ in range(min(200, options.cases - done))]
        done += len(cases)
        for template, ours in zip(cases, quipu.render(cases, context)):
            text, error = python_render(template)
            if isinstance(error, TooLong):
                counts["skipped: too slow in Python"] += 1
                continue
            difference = None
            if "crash" in ours:
                difference = f"crash {ours['crash']}"
            elif error is None:
                if "0x" in text and " at 0x" in text:
                    counts["skipped: prints an address"] += 1
                elif ours.get("text") == text:
                    counts["same text"] += 1
                elif ours.get("error") == "Unsupported" or ours.get("message", "").startswith(UNKNOWN):
                    counts["refused by name"] += 1
                    refused[ours["message"][:60]] += 1
                else:
                    difference = f"python {text!r}\n  quipu  {ours.get('text', ours)!r}"
            elif "error" in ours:
                counts["error in both"] += 1
                if ours["error"] != type(error).__name__:
                    kinds[f"{type(error).__name__} -> {ours['error']}"] += 1
            else:
                difference = f"python {type(error).__name__}: {error}\n  quipu  {ours['text']!r}"
            if difference is not None:
                counts["DIFFERENT"] += 1
                if shown < options.show:
                    shown += 1
                    print(f"{template!r}\n  {difference}\n", flush=True)
    print(f"seed {options.seed}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    if refused:
        print("refused: " + ", ".join(f"{name} ({count})" for name, count in refused.most_common(12)))
    if kinds:
        print("kinds of error that differ: " + ", ".join(f"{name} ({count})" for name, count in kinds.most_common(12)))
    sys.exit(1 if counts["DIFFERENT"] else 0)


if __name__ == "__main__":
    main()
