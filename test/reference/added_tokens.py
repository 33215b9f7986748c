"""What tokenizers does with added tokens: added_tokens.golden.json, read by test/unit/tokenizer/added-tokens.test.ts.

    pip install tokenizers==0.23.3
    python3 test/reference/added_tokens.py
"""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer

root = Path(__file__).parents[2]
base = json.loads((root / "test/reference/stories-tokenizer/tokenizer.json").read_text())
vocab = base["model"]["vocab"]


def added(index, content, **flags):
    """tokenizers gives ids itself: those of the vocabulary, else what follows it (index counts the latter)."""
    defaults = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    return {"id": vocab.get(content, len(vocab) + index), "content": content, **defaults, **flags}


SETS = [
    [added(0, "<m>", lstrip=True), added(1, "<r>", rstrip=True), added(2, "<b>", lstrip=True, rstrip=True, special=True)],
    [added(0, "<w>", single_word=True), added(1, "ab", single_word=True), added(9, "b"), added(2, "abc", special=True)],
    [added(0, "<a"), added(1, "<a>", special=True), added(2, "a><a", normalized=True), added(3, "<", normalized=True)],
    [added(0, "aa"), added(1, "aab", special=True), added(2, "ba", normalized=True), added(3, "  ", rstrip=True)],
]
PARTS = ["<m>", "<r>", "<b>", "<w>", "<a>", "<a", "<", ">", "a", "b", "c", "ab", " ", "  ", "\n", "é", "_", "1", "\u3000", "日"]

rnd = random.Random(5)
cases = []
for tokens in SETS:
    file = {**base, "added_tokens": tokens}
    tokenizer = Tokenizer.from_str(json.dumps(file))
    texts = ["".join(rnd.choice(PARTS) for _ in range(rnd.randint(1, 12))) for _ in range(120)]
    ids = {}
    for special in (False, True):
        tokenizer.encode_special_tokens = not special
        ids[str(special).lower()] = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    cases.append({"added_tokens": tokens, "texts": texts, "ids": ids})
(root / "test/reference/added_tokens.golden.json").write_text(json.dumps(cases, ensure_ascii=True) + "\n")
