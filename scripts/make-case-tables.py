#!/usr/bin/env python3
"""Writes native/tokenizer/case_tables.inc: what tokenizers' normalizers Lowercase and StripAccents do to each character, asked of them
(tokenizers 0.23.3: lower case of Unicode 17.0, by Rust's char::to_lowercase; marks of Unicode 9.0, by unicode-normalization-alignments 0.1.12).

    build/proof-venv/bin/python scripts/make-case-tables.py
"""
from pathlib import Path

from tokenizers import normalizers

lowercase, strip = normalizers.Lowercase(), normalizers.StripAccents()
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
lower = {code: lowercase.normalize_str(chr(code)) for code in CODES}
assert [code for code in CODES if len(lower[code]) > 1] == [0x130]  # which the engine knows

runs = []  # first, last, step, what is added
for code in CODES:
    if len(lower[code]) > 1 or ord(lower[code]) == code:
        continue
    added = ord(lower[code]) - code
    if runs and runs[-1][3] == added:
        first, last, step, _ = runs[-1]
        if code - last == step or (first == last and code - last <= 2):
            runs[-1] = (first, code, code - last, added)
            continue
    runs.append((code, code, 1, added))

marks = []
for code in CODES:
    if strip.normalize_str("a" + chr(code)) != "a":
        continue
    if marks and marks[-1][1] == code - 1:
        marks[-1][1] = code
    else:
        marks.append([code, code])


def rows(items):
    texts = ["{" + ", ".join(map(str, item)) + "}," for item in items]
    return "\n".join(" ".join(texts[i : i + 8]) for i in range(0, len(texts), 8))


out = Path(__file__).parents[1] / "native/tokenizer/case_tables.inc"
out.write_text(f"""// Lower case of Unicode 17.0, marks of Unicode 9.0, made by scripts/make-case-tables.py
// clang-format off
static constexpr LowerRun kLowerRuns[] = {{
{rows(runs)}
}};
static constexpr MarkRun kMarkRuns[] = {{
{rows(marks)}
}};
""")
print(out, len(runs), len(marks))
