"""Makes native/tokenizer/unicode_tables.inc: the character classes that split patterns name.

    pip install --target build/unicodedata unicodedata2==16.0.0
    PYTHONPATH=build/unicodedata python3 scripts/make-unicode-tables.py

Unicode 16.0 is what the regular expressions of tiktoken 0.14 (Rust regex) and tokenizers 0.23 (Oniguruma) have: probed for every
code point and for \\p{L}, \\p{N}, \\p{M}, \\p{P}, \\p{S}, \\p{Lu}, \\p{Lt}, \\p{Ll}, \\p{Lm}, \\p{Lo}, \\s and \\w.
"""

from pathlib import Path

import unicodedata2

assert unicodedata2.unidata_version == "16.0.0", unicodedata2.unidata_version

WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
# \w beyond letters, marks, Nd, Nl and Pc: the joiners, and the symbols of Other_Alphabetic
OTHER_WORD = {0x200C, 0x200D, *range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)}
LETTERS = {"Lu": "U", "Lt": "U", "Ll": "l", "Lm": "o", "Lo": "o", "Nd": "d", "Nl": "d", "No": "n", "Pc": "_"}


def letter(code: int) -> str:
    if code in WHITE_SPACE:
        return " "
    category = unicodedata2.category(chr(code))
    if code in OTHER_WORD:
        return "_" if category[0] == "S" else "j"
    return LETTERS.get(category) or {"M": "m", "P": "p", "S": "p"}.get(category[0], ".")


blocks: dict[str, int] = {}
block_of = [blocks.setdefault("".join(map(letter, range(start, start + 256))), len(blocks)) for start in range(0, 0x110000, 256)]
assert len(blocks) <= 256

lines = ["// Unicode 16.0.0, made by scripts/make-unicode-tables.py", "// clang-format off"]
lines.append("static constexpr uint8_t kBlockIndex[0x1100] = {")
lines += [",".join(map(str, block_of[at : at + 64])) + "," for at in range(0, len(block_of), 64)]
lines += ["};", f"static constexpr size_t kBlocks = {len(blocks)};", "static constexpr const char* kBlockLetters[kBlocks] = {"]
lines += [f'"{block}",' for block in blocks]
lines += ["};", ""]
Path(__file__).parent.parent.joinpath("native/tokenizer/unicode_tables.inc").write_text("\n".join(lines))
