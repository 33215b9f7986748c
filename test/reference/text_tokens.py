"""What tokenizers makes of tokenizer.json files whose tokens are text, as SentencePiece's are (Llama 2, Mistral, Gemma):
text_tokens.golden.json, read by test/unit/tokenizer/text-tokens.test.ts.

    pip install tokenizers==0.23.3
    python3 test/reference/text_tokens.py

A file of a small random vocabulary (`bytes`: which of <0x00> to <0xFF> it has, a bit each, which come first; then `tokens`), with normalizers, pre-tokenizers, decoders and added tokens of all kinds; texts, their ids with
special tokens as plain text and as tokens, the text of the latter with and without special tokens, and where each token of the former begins
(UTF-16) if they decode to the text; then ids drawn at random and their text.
"""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
MARK = "\u2581"
LETTERS = ["a", "b", "c", "1", "2", ".", "\n", "é", "日", "본", "\u0301", "😀", MARK]
ABSENT = ["x", "Z", "É", "İ", "_", "!", "\u200d", "ß", "語", "🙂", "\u200b", "\t", "\u00a0", "ﬁ"]
PARTS = [*LETTERS, *ABSENT, " ", " ", " ", "  ", "   ", " a", "ab", "abc", " b", "aa", "<0x41>", "<unk>", "<s>", "</s>", "<t>", "<t", "\u3000"]
CONTENTS = ["<t>", "<s>", "</s>", "a", "ab", " a", "a b", MARK + "a", MARK, " ", "b" + MARK, "日", "x", "<0x41>"]


def replace(pattern, content):
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def sequence(name, *steps):
    return {"type": "Sequence", name: list(steps)}


def strip(left, right):
    return {"type": "Strip", "strip_left": left, "strip_right": right}


SPACES = replace(" ", MARK)
PREPEND = {"type": "Prepend", "prepend": MARK}
NORMALIZERS = [
    None, SPACES, sequence("normalizers", PREPEND, SPACES), sequence("normalizers", PREPEND, SPACES), sequence("normalizers", SPACES, PREPEND),
    sequence("normalizers", {"type": "NFKC"}, strip(True, True), PREPEND, SPACES), sequence("normalizers", SPACES, {"type": "NFC"}),
    sequence("normalizers", replace("  ", " "), replace("ab", "ba"), SPACES), sequence("normalizers", strip(True, False), SPACES), strip(False, True),
    sequence("normalizers", replace("aa", ""), replace("abc", " 日 "), PREPEND), sequence("normalizers", {"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}, SPACES),
    sequence("normalizers", SPACES, {"type": "Lowercase"}),
]


def metaspace(scheme, split, mark=MARK):
    return {"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme, "split": split}


def split(pattern, behavior, kind="String", invert=False):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


DIGITS = {"type": "Digits", "individual_digits": True}
PUNCTUATION = {"type": "Punctuation", "behavior": "Isolated"}
PRE_TOKENIZERS = [
    {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, PUNCTUATION, {**PUNCTUATION, "behavior": "MergedWithNext"}, {"type": "Punctuation"}, sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always", True), PUNCTUATION),
    None, None, None, sequence("pretokenizers"), *(metaspace(scheme, cut) for scheme in ("always", "first", "never") for cut in (True, False)), metaspace("always", True, "."),
    split(" ", "MergedWithPrevious"), split(MARK, "MergedWithNext"), split(r"\s+|\d", "Isolated", "Regex"), split("a", "Removed"),
    sequence("pretokenizers", metaspace("first", True), DIGITS), sequence("pretokenizers", DIGITS, metaspace("first", False)), sequence("pretokenizers", split(" ", "Isolated"), metaspace("always", False)),
    {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True, "prepend_scheme": "first"}, {"type": "Metaspace", "replacement": MARK},
]
DECODE = [replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
DECODERS = [
    sequence("decoders", *DECODE), sequence("decoders", *DECODE, {"type": "Strip", "content": " ", "start": 1, "stop": 0}), sequence("decoders", *DECODE, {"type": "Strip", "content": "a", "start": 3, "stop": 0}),
    metaspace("always", True), metaspace("first", False), metaspace("never", True), sequence("decoders", {"type": "ByteFallback"}, {"type": "Fuse"}), replace("a", "<0x42>"),
    sequence("decoders", replace("a", "<0x42>"), replace(MARK, ""), *DECODE[1:]),
]


def model(rnd):
    lacking = rnd.choice([range(256), [], [], [], rnd.sample(range(256), 20)])
    fallback = [f"<0x{byte:02X}>" for byte in range(256) if byte not in lacking]
    vocab = {token: i for i, token in enumerate([*fallback, "<unk>", "<s>", "</s>"])}
    letters = [letter for letter in LETTERS if rnd.random() < 0.9]
    tokens = list(letters)
    merges = []
    for _ in range(rnd.randint(5, 60)):
        pair = (rnd.choice(tokens), rnd.choice(tokens[-12:] if rnd.random() < 0.5 else tokens))
        if rnd.random() < 0.6 and MARK in letters:
            pair = (MARK, pair[1]) if MARK not in pair[1] or rnd.random() < 0.1 else pair
        if len("".join(pair)) > 9 or list(pair) in merges:
            continue
        merges.append(list(pair))
        if "".join(pair) not in tokens:
            tokens.append("".join(pair))
    if rnd.random() < 0.3:
        rnd.shuffle(merges)
    for token in tokens + ["abcabc", "語"][: rnd.randint(0, 2)]:
        vocab.setdefault(token, len(vocab))
    return {
        "type": "BPE", "dropout": None, "unk_token": rnd.choice([None, "<unk>", "<unk>"]), "fuse_unk": rnd.random() < 0.6, "byte_fallback": rnd.random() < 0.6,
        "ignore_merges": rnd.random() < 0.15, "vocab": vocab, "merges": merges,
    }


def added(rnd, vocab):
    tokens, new = [], 0
    for content in rnd.sample(CONTENTS, rnd.choice([0, 2, 2, 4])):
        id = vocab.get(content, len(vocab) + new)
        new += content not in vocab
        flags = {name: rnd.random() < 0.2 for name in ("single_word", "lstrip", "rstrip")}
        # What normalizers make nothing of, tokenizers finds everywhere.
        tokens.append({"id": id, "content": content, **flags, "normalized": content != " " and rnd.random() < 0.35, "special": content in ("<s>", "</s>") or rnd.random() < 0.3})
    return tokens


def utf16(text, offset):
    return len(text[:offset].encode("utf-16-le")) // 2


# Normalizers behind which tokenizers tells where a token begins as everybody would.
PLAIN = [None, SPACES, sequence("normalizers", PREPEND, SPACES), sequence("normalizers", SPACES, PREPEND)]


def case(tokenizer, text, file):
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False)
    tokenizer.encode_special_tokens = False
    special = tokenizer.encode(text, add_special_tokens=False).ids
    same = tokenizer.decode(plain.ids, skip_special_tokens=False) == text
    # 0.23.3 takes the normalized content of an added token for its text, and then does not know special ones again.
    odd = {token["id"] for token in file["added_tokens"] if tokenizer.id_to_token(token["id"]) != token["content"]}
    same = same and file["normalizer"] in PLAIN and file["pre_tokenizer"] is None and MARK in file["model"]["vocab"] and not odd & {*plain.ids}
    starts = [utf16(text, start) for start, _ in plain.offsets] if same else None
    decoded = [None, None] if odd & {*special} else [tokenizer.decode(special), tokenizer.decode(special, skip_special_tokens=False)]
    return [text, plain.ids, special, *decoded, starts]


def one_set(rnd, texts):
    bpe = model(rnd)
    file = {"version": "1.0", "added_tokens": added(rnd, bpe["vocab"]), "normalizer": rnd.choice(NORMALIZERS), "pre_tokenizer": rnd.choice(PRE_TOKENIZERS), "post_processor": None, "decoder": rnd.choice(DECODERS), "model": bpe}
    # Where normalizers take something away or put something first, tokenizers no longer finds the beginning of a text; those files are refused.
    while file["normalizer"] in NORMALIZERS[2:6] + NORMALIZERS[7:9] + NORMALIZERS[10:12] and "first" in json.dumps(file["pre_tokenizer"]):
        file["pre_tokenizer"] = rnd.choice(PRE_TOKENIZERS)
    tokenizer = Tokenizer.from_str(json.dumps(file))
    # Which of two counts that are the same when they are normalized, test/reference/normalizers.py asks.
    sought = [tokenizer.normalizer.normalize_str(t["content"]) for t in file["added_tokens"] if t["normalized"] and tokenizer.normalizer]
    if len(sought) > len({*sought}):
        return one_set(rnd, texts)
    cases = []
    contents = [token["content"] for token in file["added_tokens"]] or ["a"]
    while len(cases) < texts:
        text = "".join(rnd.choice(contents if rnd.random() < 0.15 else PARTS) for _ in range(rnd.choice([0, 1, 2, 8, 20])))
        try:
            cases.append(case(tokenizer, text, file))
        except BaseException:  # it panics over some white space
            continue
    drawn = []
    ids_ = sorted({*bpe["vocab"].values()} - {token["id"] for token in file["added_tokens"]})
    for _ in range(6):
        ids = [rnd.choice(ids_) for _ in range(rnd.randint(1, 9))]
        drawn.append([ids, tokenizer.decode(ids, skip_special_tokens=False)])
    names = list(bpe.pop("vocab"))
    bytes_ = "".join("1" if f"<0x{byte:02X}>" in names else "0" for byte in range(256))
    return {"file": file, "bytes": f"{int(bytes_, 2):064x}", "tokens": [name for name in names if not name.startswith("<0x")], "cases": cases, "drawn": drawn}


rnd = random.Random(11)
sets = [one_set(rnd, 9) for _ in range(140)]
out = ROOT / "test/reference/text_tokens.golden.json"
out.write_text("[\n%s\n]\n" % ",\n".join(json.dumps(s, ensure_ascii=False, separators=(",", ":")) for s in sets))
print(out, out.stat().st_size)
