#!/usr/bin/env python3
"""How fast Hugging Face's BpeTrainer learns a vocabulary from JSON Lines: what bench/tokenizer/train.js compares with.

    bpe_trainer_speed.py VOCAB_SIZE FILE.jsonl.gz …

Prints one JSON object: seconds (reading, cutting, counting and learning), the version, the merges as pairs of bytes in hex.
"""
import gzip, json, sys, time

import tokenizers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def texts(paths):
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["text"]


def bytes_of_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(moved)}


def main():
    vocab_size, paths = int(sys.argv[1]), sys.argv[2:]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=True,
        progress_format="json",
    )
    begin = time.perf_counter()
    tokenizer.train_from_iterator(texts(paths), trainer)
    seconds = time.perf_counter() - begin
    to_byte = bytes_of_alphabet()
    merges = [
        [bytes(to_byte[c] for c in part).hex() for part in pair] for pair in json.loads(tokenizer.to_str())["model"]["merges"]
    ]
    print(json.dumps({"seconds": seconds, "version": tokenizers.__version__, "merges": merges}))


main()
