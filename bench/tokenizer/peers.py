"""tiktoken, tokenizers and sentencepiece on the corpora of run.js: MB/s of the best pass, on one thread. Prints one JSON object."""

import base64
import json
import sys
import time

import sentencepiece
import tiktoken
from tokenizers import Tokenizer

with open(sys.argv[1]) as file:
    settings = json.load(file)


def best(size, run, least=1):
    """MB/s of the best pass within the seconds, and at least of so many."""
    started, fastest, passes = time.perf_counter(), float("inf"), 0
    while passes < least or time.perf_counter() - started < settings["seconds"]:
        begin = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - begin)
        passes += 1
    return size / fastest / 1e6


ours = None
if settings["ranks"]:
    with open(settings["ranks"], "rb") as file:
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in file)}
    ours = tiktoken.Encoding("bench", pat_str=settings["pattern"], mergeable_ranks=ranks, special_tokens={})
pieces = sentencepiece.SentencePieceProcessor(model_file=settings["model"]) if settings["model"] else None
theirs = Tokenizer.from_file(settings["json"]) if settings["json"] else None


def with_tokenizers(texts):
    for text in texts:
        theirs.encode(text, add_special_tokens=False)


def with_tiktoken(texts):
    for text in texts:
        ours.encode_ordinary(text)


def with_sentencepiece(texts):
    for text in texts:
        pieces.encode(text)


encode = {}
for name, corpus in settings["corpora"].items():
    texts, size = corpus["texts"], corpus["bytes"]
    encode[name] = {
        "tiktoken": best(size, lambda: with_tiktoken(texts)) if ours else None,
        "sentencepiece": best(size, lambda: with_sentencepiece(texts)) if pieces else None,
        "tokenizers": best(size, lambda: with_tokenizers(texts), 3) if theirs else None,
    }
whole = "\n".join(settings["corpora"]["prose"]["texts"])
ids = ours.encode_ordinary(whole) if ours else None
print(json.dumps({"encode": encode, "decode": best(len(whole.encode()), lambda: ours.decode(ids)) if ours else None}))
