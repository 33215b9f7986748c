#!/usr/bin/env python3
"""Writes src/jinja/unicode-assigned.ts: which characters Python 3.11 (Unicode 14) knows. Node knows more, and more with each version."""

import pathlib
import sys
import unicodedata

assert unicodedata.unidata_version == "14.0.0", f"needs Python 3.11, not {sys.version}"

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number):
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if number == 0:
            return text


ranges = []
for code in range(0x110000):
    if unicodedata.category(chr(code)) != "Cn":
        continue
    if ranges and ranges[-1][1] == code - 1:
        ranges[-1][1] = code
    else:
        ranges.append([code, code])

numbers, last = [], 0
for start, end in ranges:
    numbers += [start - last, end - start]
    last = end
words = " ".join(map(base36, numbers))
lines = [words[i : i + 110] for i in range(0, len(words), 110)]
text = (
    "// Made by scripts/make-jinja-unicode.py: the code points that Unicode 14 has not assigned, so that texts come out as Python 3.11 has them,\n"
    "// whichever Unicode Node knows. From the end of the last range to the start of the next, and to its end, in base 36.\n"
    "export const UNASSIGNED =\n  " + " +\n  ".join(f'"{line}"' for line in lines) + ";\n"
)
pathlib.Path(__file__).resolve().parents[1].joinpath("src/jinja/unicode-assigned.ts").write_text(text, encoding="utf-8")
