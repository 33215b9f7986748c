"""Makes native/tokenizer/normalization_tables.inc: decompositions, combining classes and compositions for NFC, NFD, NFKC and NFKD.

    pip install --target build/unicodedata unicodedata2==16.0.0
    npm install --prefix build/unicodedata @unicode/unicode-9.0.0
    PYTHONPATH=build/unicodedata python3 scripts/make-normalization-tables.py

Unicode 9.0, which is what tokenizers 0.23 normalizes by (its Rust crate unicode-normalization-alignments 0.1.12): probed for every
code point (test/reference/normalizers.py). What a character of 9.0 decomposes to, and its class, never change
(unicode.org/policies/stability_policy.html), so 16.0 tells them; what was not assigned in 9.0 has neither.
"""

import json
import subprocess
from pathlib import Path

import unicodedata2

assert unicodedata2.unidata_version == "16.0.0", unicodedata2.unidata_version
ROOT = Path(__file__).parent.parent

LIST = "import ranges from '@unicode/unicode-9.0.0/General_Category/Unassigned/ranges.mjs'; console.log(JSON.stringify(ranges))"
ranges = subprocess.run(
    ["node", "--input-type=module", "-e", LIST], cwd=ROOT / "build/unicodedata", capture_output=True, check=True, text=True
).stdout
unassigned = {code for r in json.loads(ranges) for code in range(r["begin"], r["end"])}
assert 0x0378 in unassigned and 0x1E944 not in unassigned and 0x07FD in unassigned

HANGUL = range(0xAC00, 0xD7A4)
CODES = [c for c in range(0x110000) if c not in unassigned and not 0xD800 <= c < 0xE000]


def decomposed(form: str, code: int) -> list[int]:
    return [ord(c) for c in unicodedata2.normalize(form, chr(code))]


canonical, compatible, pairs = {}, {}, {}
for code in CODES:
    if code in HANGUL:
        continue
    nfd, nfkd = decomposed("NFD", code), decomposed("NFKD", code)
    if nfd != [code]:
        canonical[code] = nfd
    if nfkd != nfd:
        compatible[code] = nfkd
    mapping = unicodedata2.decomposition(chr(code)).split()
    if len(mapping) == 2 and not mapping[0].startswith("<") and unicodedata2.normalize("NFC", chr(code)) == chr(code):
        pairs[tuple(int(part, 16) for part in mapping)] = code

seconds = {second for _, second in pairs} | {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # and Hangul's vowels and finals


def combining_class(code: int) -> int:
    return 0 if code in unassigned else unicodedata2.combining(chr(code))


def starts(code: int) -> bool:
    """Whether nothing before it is changed by it or changes it, in any form."""
    parts = {code, *canonical.get(code, [])[:1], *compatible.get(code, [])[:1]}
    return all(combining_class(part) == 0 and part not in seconds for part in parts)


def properties(code: int) -> tuple[int, int]:
    """The flags of normalizer.cc, and the combining class."""
    if 0xD800 <= code < 0xE000:
        return 1, 0
    nfd, nfkd = code in canonical or code in HANGUL, code in canonical or code in compatible or code in HANGUL
    nfc = code not in unassigned and unicodedata2.normalize("NFC", chr(code)) != chr(code)
    nfkc = code not in unassigned and unicodedata2.normalize("NFKC", chr(code)) != chr(code)
    return starts(code) | nfc << 1 | nfd << 2 | nfkc << 3 | nfkd << 4, combining_class(code)


kinds: dict[tuple[int, int], str] = {}
FIRST = ord("#")
blocks: dict[str, int] = {}
block_of = []
for start in range(0, 0x110000, 256):
    letters = ""
    for code in range(start, start + 256):
        kind = properties(code)
        letters += kinds.setdefault(kind, chr(FIRST + len(kinds)) if FIRST + len(kinds) < ord("\\") else chr(FIRST + 1 + len(kinds)))
    block_of.append(blocks.setdefault(letters, len(blocks)))
assert len(blocks) <= 256 and max(kinds.values()) <= "~", (len(blocks), len(kinds))


def rows(values) -> list[str]:
    values = list(map(str, values))
    return [",".join(values[at : at + 32]) + "," for at in range(0, len(values), 32)]


def expansions(name: str, table: dict[int, list[int]]) -> list[str]:
    """Code points, where each one's text begins (and the end of all), and the texts."""
    ends = [0]
    for text in table.values():
        ends.append(ends[-1] + len(text))
    return [
        f"static constexpr uint32_t k{name}Codes[] = {{", *rows(table), "};",
        f"static constexpr uint16_t k{name}Starts[] = {{", *rows(ends), "};",
        f"static constexpr uint32_t k{name}Texts[] = {{", *rows(code for text in table.values() for code in text), "};",
    ]


lines = ["// Unicode 9.0.0, made by scripts/make-normalization-tables.py", "// clang-format off"]
lines += ["static constexpr uint8_t kBlockIndex[0x1100] = {", *rows(block_of), "};"]
lines += [f"static constexpr size_t kBlocks = {len(blocks)};", "static constexpr const char* kBlockLetters[kBlocks] = {"]
lines += [f'"{block}",' for block in blocks]
lines += ["};", "struct Kind {", "char letter;", "uint8_t flags, combiningClass;", "};", "static constexpr Kind kKinds[] = {"]
lines += ["".join("{'%s',%d,%d}," % (letter if letter != "'" else "\\'", *kind) for kind, letter in kinds.items()), "};"]
lines += expansions("Canonical", canonical) + expansions("Compatible", compatible)
lines += ["struct Composition {", "uint32_t first, second, composed;", "};", "static constexpr Composition kCompositions[] = {"]
lines += rows("{%d,%d,%d}" % (*pair, composed) for pair, composed in sorted(pairs.items())) + ["};", ""]
(ROOT / "native/tokenizer/normalization_tables.inc").write_text("\n".join(lines))
