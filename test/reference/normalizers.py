"""What tokenizers makes of normalizers and of added tokens with any flags: normalizers.golden.json, read by
test/unit/tokenizer/normalizers.test.ts.

    pip install tokenizers==0.23.3
    python3 test/reference/normalizers.py

`blocks`: for each form, and for Lowercase and StripAccents, the first 16 hex digits of the sha256 of the ids (i32, little-endian) of texts that hold every character, 4096 to
a text, between letters and marks. `sets`: random added tokens and normalizers, texts, and their ids with special tokens as plain text
and as tokens. `patterns`: the same of normalizers with Replace of a Regex, some of them with a pattern by which text is cut.
"""

import hashlib
import json
import random
import struct
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
BASE = json.loads((ROOT / "test/reference/stories-tokenizer/tokenizer.json").read_text())
VOCAB = BASE["model"]["vocab"]
FORMS = ["NFC", "NFD", "NFKC", "NFKD"]
BLOCK = 4096


def tokenizer_of(normalizer, added, changes={}):
    return Tokenizer.from_str(json.dumps({**BASE, "normalizer": normalizer, "added_tokens": added, **changes}))


def ids_of(tokenizer, text, special):
    tokenizer.encode_special_tokens = not special
    return tokenizer.encode(text, add_special_tokens=False).ids


def text_of_block(start):
    codes = [code for code in range(start, start + BLOCK) if not 0xD800 <= code < 0xE000]
    return "".join(f"a{chr(code)}\u0334\u0301{chr(code)} " for code in codes)


def blocks(form):
    tokenizer = tokenizer_of({"type": form}, [])
    for start in range(0, 0x110000, BLOCK):
        ids = ids_of(tokenizer, text_of_block(start), False)
        yield hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()[:16]


PARTS = ["a", "b", "ab", "<x>", "<y>", "<", ">", " ", "  ", "\n", "\u3000", "_", "1", ".", "é", "e\u0301", "\u0301", "\u0327\u0301", "Å", "A\u030a", "ﬁ", "fi", "①", "1", "가", "\u1100\u1161", "\u11a8", "각", "\u0344", "日", "ſ", "\u212a", "½", "\u0f73", "\u09c7\u09be", "😀", "\x00", "Ġ", "\x7f", "Ā", "<|", "|>"]
CONTENTS = ["a", "b", "ab", "ba", " ab", "a ", "<x>", "<y>", "<x", "x>", "<", " ", "  ", "\n", "é", "e\u0301", "\u0301", "fi", "ﬁ", "①", "1", "각", "가", "\u11a8", "Å", "K", "\u212a", "日", "ss", "\u00e9<", ".", "_", "\x00", "Ġ", "\x7f", "Ā", "<|", "<|a", "<|a|>"]


PATTERNS = [r"\s+", r" {2,}", r"[\n\r]", r"(?i)a|<x", "^.", "b$", r"\d{2}", r"(?<=a)b", r"\b[ab]", "a(?!b)", r"\p{M}+", r"b|ab", r"(?m:<.>)", r"\A\s", r"[^\x00-\x7f]"]


def random_patterns(rnd):
    replace = lambda: {"type": "Replace", "pattern": {"Regex": rnd.choice(PATTERNS)}, "content": rnd.choice(["", " ", "ab", "é", "<x>"])}
    other = lambda: rnd.choice([{"type": "NFD"}, {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Prepend", "prepend": " "}])
    steps = [replace(), *(rnd.choice([replace, other])() for _ in range(rnd.randint(0, 3)))]
    rnd.shuffle(steps)
    return {"type": "Sequence", "normalizers": steps} if len(steps) > 1 else steps[0]


def are_sought(normalizer, added):
    """Of tokens that are the same when they are normalized it finds any; nothing it finds everywhere, until there is no memory."""
    try:
        texts = [tokenizer_of(normalizer, []).normalizer.normalize_str(token["content"]) for token in added if token["normalized"]]
    except BaseException:  # it panics where nothing is to become something
        return False
    return "" not in texts and len(set(texts)) == len(texts)


CUT = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": r"\s|a+|[^\sa]+"}, "behavior": "Isolated", "invert": False}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}


def random_set(rnd):
    normalizer = rnd.choice([None, None, *({"type": form} for form in FORMS), {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "NFKC"}]}])
    added, new = [], 0
    for content in rnd.sample(CONTENTS, rnd.randint(1, 6)):
        flags = {name: rnd.random() < 0.35 for name in ("single_word", "lstrip", "rstrip", "special")}
        id = VOCAB.get(content, len(VOCAB) + new)
        new += content not in VOCAB
        added.append({"id": id, "content": content, **flags, "normalized": rnd.random() < 0.5})
    return normalizer, added


def sets(count, texts, seed=3, patterns=False):
    rnd = random.Random(seed)
    while count > 0:
        normalizer, added = random_set(rnd)
        changes = {}
        if patterns:
            normalizer = random_patterns(rnd)
            changes = rnd.choice([{}, {}, {"pre_tokenizer": CUT}])
        if patterns and not are_sought(normalizer, added):
            continue
        tokenizer = tokenizer_of(normalizer, added, changes)
        contents = [token["content"] for token in added]
        some = ["".join(rnd.choice(contents if rnd.random() < 0.4 else PARTS) for _ in range(rnd.randint(1, 14))) for _ in range(texts)]
        cases = []
        for text in some:
            try:
                cases.append([text, ids_of(tokenizer, text, False), ids_of(tokenizer, text, True)])
            except BaseException:  # it panics where white space is stripped from both sides of one token
                continue
        yield {"normalizer": normalizer, "added_tokens": added, **changes, "cases": cases}
        count -= 1


golden = {"blocks": {form: list(blocks(form)) for form in [*FORMS, "Lowercase", "StripAccents"]}, "sets": list(sets(150, 12)), "patterns": list(sets(120, 10, 4, True))}
out = ROOT / "test/reference/normalizers.golden.json"
lines = {name: ",\n".join(json.dumps(s, separators=(",", ":")) for s in golden[name]) for name in ("sets", "patterns")}
out.write_text("{\"blocks\":%s,\n\"sets\":[\n%s\n],\n\"patterns\":[\n%s\n]}\n" % (json.dumps(golden["blocks"]), *lines.values()))
print(out, out.stat().st_size)
