#!/usr/bin/env python3
"""What Hugging Face's BpeTrainer learns from small texts: bpe_trainer.golden.json (tokenizers, see requirements.txt).

The texts are in the golden; merges are as tokenizer.json writes them, `ids` those of the texts.
"""
import json, pathlib, random

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PATTERNS = {
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>"]
TRICKY = [
    "", "I'M you're we've it's DON'T 'ſa", "a" * 40, "ab" * 20, "aaa aaaa aaaaa aab aba baa", " " * 20 + "x", "\r\n\r\n \n\t x",
    "1 12 123 1234 12345 123456", "naïve café é Å ﬁ", "日本語のテキスト。中文文本，没有空格", "한국어 텍스트 텍스트", "नमस्ते दुनिया", "สวัสดีชาวโลก",
    "مرحبا بالعالم", "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇺🇳", "\u0085x\ufeffy\u00a0\u2003 z", "def f(x):\n\treturn x**2  # x\n\n\nprint(f(3))\n", "<|begin_of_text|> __proto__",
]


def sentences(seed, number):
    """Words of random letters, some far more frequent than others: many counts tie."""
    draw = random.Random(seed)
    words = ["".join(draw.choice("aeioustrnl") for _ in range(draw.randint(1, 9))) for _ in range(150)]
    for _ in range(number):
        yield " ".join(words[int(150 * draw.random() ** 3)] for _ in range(draw.randint(3, 20))).capitalize() + "."


def main():
    texts = TRICKY + list(sentences(1, 60))
    golden = {"madeBy": f"tokenizers {tokenizers.__version__}", "texts": texts}
    for name, pattern in PATTERNS.items():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False))
        model = json.loads(tokenizer.to_str())["model"]
        golden[name] = {
            "specialTokens": SPECIAL,
            "merges": model["merges"],
            "ids": [tokenizer.encode(text, add_special_tokens=False).ids for text in texts],
        }
    out = pathlib.Path(__file__).parent / "bpe_trainer.golden.json"
    out.write_text(json.dumps(golden, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    print(out, out.stat().st_size)


main()
