#!/usr/bin/env python3
"""Writes src/tokenizer/punctuation-data.ts: what tokenizers' pre-tokenizer Punctuation takes for punctuation, asked of it (tokenizers 0.23.3:
ASCII's, and that of Unicode 8.0 by the crate unicode_categories).

    build/proof-venv/bin/python scripts/make-punctuation-set.py
"""
from pathlib import Path

from tokenizers import pre_tokenizers

punctuation = pre_tokenizers.Punctuation()
found = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000 and len(punctuation.pre_tokenize_str("a" + chr(code))) == 2]


def base36(number):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (base36(number // 36) if number >= 36 else "") + digits[number % 36]


numbers, end = [], 0
for code in found:
    if numbers and code == end:
        numbers[-1] += 1
    else:
        numbers += [code - end, 1]
    end = code + 1
out = Path(__file__).parents[1] / "src/tokenizer/punctuation-data.ts"
out.write_text(f"""// Punctuation as tokenizers has it: ASCII's, and that of Unicode 8.0; made by scripts/make-punctuation-set.py, in the form of unicode-data.ts.
export const PUNCTUATION =
  "{' '.join(map(base36, numbers))}";
""")
print(out, len(found))
