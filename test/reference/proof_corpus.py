"""The texts by which tokenizers are compared (prove_tokenizer.py): of ../shared, code of this machine, and generated ones that have
what split patterns tell apart and what implementations get wrong.
"""

import gzip
import json
import os
import pathlib
import random

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("QUIPU_SHARED", ROOT.parent / "shared"))


def jsonl(pattern, pick=lambda document: document.get("text")):
    for path in sorted(SHARED.glob(f"data/{pattern}")):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                try:
                    text = pick(json.loads(line, strict=False))
                except ValueError:  # data/dirty has broken lines on purpose: as text they are as good as any
                    text = line
                if text:
                    yield text


def code():
    stdlib = pathlib.Path(json.__file__).parents[1]
    for folder, pattern in ((stdlib, "*.py"), (ROOT / "node_modules", "*.js"), (ROOT / "native", "*.h"), (ROOT, "*.md")):
        for path in sorted(folder.rglob(pattern)):
            if path.stat().st_size < 200_000:
                yield path.read_bytes().decode("utf-8", errors="ignore")


# What the split patterns tell apart, and what implementations get wrong.
NASTY = (
    ["'s", "'S", "'ſ", "'ll", "'LL", "'Re", "’s", "don't", "I'VE", "'d'd", "''t"]
    + [" ", "  ", "   ", "\t", "\n", "\r", "\r\n", "\n\n", " \n", "\n ", "\u0085", "\u00a0", "\u2028", "\u3000", "\ufeff", "\u200b", "\x1c"]
    + ["1", "12", "123", "1234", "٣", "½", "²", "Ⅷ", "๓๔", "1,000.50", "0x1F"]
    + ["a", "Z", "ß", "ǅ", "ʰ", "ª", "é", "e\u0301", "ñ", "İ", "ı", "K", "Å", "ﬁ", "漢字", "かな", "カナ", "한국어", "ไทย", "हिन्दी", "العربية", "עברית", "Ελλάδα", "русский", "𝒳", "𐐷", "ꙮ"]
    + ["👍", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪", "❤️", "☺", "™", "…", "—", "_", "__init__", "/", "//", "/*", "*/", "===", "!?", "#", "$", "(", ")", "{", "}", "\\", "<|eot_id|>", "<|begin_of_text|>", "<|endoftext|>", "<|im_start|>"]
    + ["\u0300", "\u0300\u0301", "\u20dd", "\ufe0f", "\u200d", "\0", "\x7f", "\ue000", "\U000e0041", "\U0010ffff"]
)


def nasty(rng):
    while True:
        yield "".join(rng.choice(NASTY) for _ in range(rng.randint(1, 400)))


def any_characters(rng):
    """Characters of the whole of Unicode, runs of one range and jumps between ranges."""
    while True:
        out = []
        while len(out) < 300:
            first = rng.choice((rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))
            for _ in range(rng.randint(1, 12)):
                point = min(first + rng.randrange(64), 0x10FFFF)
                out.append("\ufffd" if 0xD800 <= point < 0xE000 else chr(point))
        yield "".join(out)


def words(rng):
    """Pieces that are no tokens: random letters, so that merging and not looking up is tested."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    while True:
        yield " ".join("".join(rng.choices(letters[: rng.choice((2, 5, 26, 52))], k=rng.randint(1, 60))) for _ in range(60))


def repeats(rng):
    """One piece of a text again and again: what makes a careless implementation quadratic. Short enough for the oracles, which are."""
    while True:
        yield rng.choice(NASTY) * rng.randint(1, 3000) + rng.choice(NASTY)


def random_bytes(rng):
    while True:
        out = bytearray()
        while len(out) < 400:
            out += rng.choice(NASTY).encode() if rng.random() < 0.8 else rng.randbytes(rng.randint(1, 6))
        yield bytes(out)


def every_character():
    """All characters but those of planes that have none, each where patterns may tell it from its neighbours."""
    codes = [*range(0xD800), *range(0xE000, 0x20000), *range(0x2A600, 0x2A800), *range(0x32300, 0x32500), *range(0xE0000, 0xE0200), *range(0x10FFF0, 0x110000)]
    for start in range(0, len(codes), 32):
        yield "".join(f"a{c}b {c}{c}9'{c}s \n{c}。{c}日{c} 1" for c in map(chr, codes[start : start + 32]))


def with_tokens(documents, tokens, rng):
    """Parts of documents with added tokens between and inside words, with white space beside them or without."""
    for kind, text, data in documents:
        if isinstance(text, bytes):
            continue
        start = rng.randrange(max(1, len(text) - 4000))
        parts = [text[start : start + 4000]]
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(parts))
            cut = rng.randint(0, len(parts[at]))
            around = rng.choice(["", "", " ", "  ", "\n", "a"]), rng.choice(["", "", " ", "  ", "\n", "b"])
            parts[at : at + 1] = [parts[at][:cut], around[0] + rng.choice(tokens) + around[1], parts[at][cut:]]
        joined = "".join(parts)
        yield kind, joined, joined.encode("utf-8", errors="surrogatepass")


def corpora(seed=1):
    """(kind, iterator, share of the bytes)."""
    rng = random.Random(seed)
    conversations = lambda document: "\n".join(str(m["content"]) for m in document.get("messages", [])) or document.get("question")
    return [
        ("English prose", jsonl("stories/*.jsonl.gz"), 0.30),
        ("languages", jsonl("multilingual/*.jsonl.gz"), 0.06),
        ("code", code(), 0.25),
        ("instructions", jsonl("instruct/*.jsonl", conversations), 0.03),
        ("web pages and dirt", jsonl("dirty/*.jsonl*", lambda d: d.get("text") or d.get("visible_text")), 0.02),
        ("tiny stories", jsonl("tinystories/*.jsonl.gz"), 0.04),
        ("nasty", nasty(rng), 0.10),
        ("any characters", any_characters(rng), 0.06),
        ("random words", words(rng), 0.06),
        ("repeats", repeats(rng), 0.04),
        ("bytes", random_bytes(rng), 0.04),
        ("every character", every_character(), 0),
    ]


def documents(size, kinds=None):
    """Documents in turn, so that the shares hold at every length; what has run out leaves its share to the others. Kinds without a
    share come where they are named."""
    named = [(kind, texts, share) for kind, texts, share in corpora() if (share > 0 if kinds is None else kind in kinds)]
    sources = [[kind, iter(texts), share or 1, 0] for kind, texts, share in named]
    done = 0
    while done < size and sources:
        source = min(sources, key=lambda s: s[3] / s[2])
        text = next(source[1], None)
        if text is None:
            sources.remove(source)
            continue
        data = text if isinstance(text, bytes) else text.encode("utf-8", errors="surrogatepass")
        source[3] += len(data)
        done += len(data)
        yield source[0], text, data
