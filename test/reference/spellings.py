"""Files that say the same in other words, or ask for what does nothing, and files that ask for more: spellings.golden.json, read by
test/unit/tokenizer/spellings.test.ts.

    pip install tokenizers==0.23.3
    python3 test/reference/spellings.py

A case is [changes to test/reference/stories-tokenizer/tokenizer.json, whether it must load, ids of each text]; changes are an object for the file with one
for its model. What need not load must be refused by name, or have these ids.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
BASE = json.loads((ROOT / "test/reference/stories-tokenizer/tokenizer.json").read_text())
TEXTS = ["Once upon a time, Tom's dog ran 12345 steps.\n\n  It's “naïve” 日本 ½ ²٣!", "hello", " a  b\t\r\nc ", "I'LL don't 'S x_y-z 😀e\u0301 ﬁ\x00\ufeff"]

LLAMA3 = BASE["pre_tokenizer"]["pretokenizers"][0]
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2 = {**BYTES, "use_regex": True}
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DIGITS = {"type": "Digits", "individual_digits": True}


def seq(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def split(regex=LLAMA3["pattern"]["Regex"], behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: regex}, "behavior": behavior, "invert": invert}


def nseq(*parts):
    return {"type": "Sequence", "normalizers": list(parts)}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


BERT = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": None, "lowercase": False}
SPECIAL = {"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}
A, B = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
IDS = BASE["post_processor"]["special_tokens"]
TRIM = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}


def template(single, special=IDS):
    return {"type": "TemplateProcessing", "single": single, "pair": [A, B], "special_tokens": special}


MUST = [
    *({"normalizer": n} for n in [None, nseq(), nseq(nseq(), nseq(nseq())), replace("", ""), replace("a", "a"), {"type": "Strip", "strip_left": False, "strip_right": False}, BERT, {**BERT, "strip_accents": False}]),
    *({"normalizer": n} for form in ["NFC", "NFD", "NFKC", "NFKD"] for n in [{"type": form}, nseq({"type": form}), nseq(nseq({"type": form}), {"type": form}), nseq({"type": "NFD"}, {"type": form})]),
    *({"pre_tokenizer": p} for p in [
        seq(LLAMA3, BYTES), seq(seq(LLAMA3), seq(seq(), BYTES)), seq(seq(LLAMA3, BYTES)), seq(split(invert=True), BYTES), seq(split(behavior="Removed", invert=True), BYTES),
        seq(split(behavior="Removed"), BYTES), seq(split(behavior="Contiguous"), BYTES), seq(split(behavior="MergedWithPrevious"), BYTES), seq(split(behavior="MergedWithNext"), BYTES),
        GPT2, {**GPT2, "trim_offsets": False}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}, BYTES, {**GPT2, "add_prefix_space": True}, {**BYTES, "add_prefix_space": True},
        seq(GPT2), seq(seq(GPT2)), seq(split(GPT2_PATTERN), BYTES), seq(split(GPT2_PATTERN, "Removed", True), BYTES), seq(DIGITS, GPT2), seq(DIGITS, split(GPT2_PATTERN), BYTES), seq({**DIGITS, "individual_digits": False}, GPT2),
        seq(GPT2, BYTES), seq(GPT2, DIGITS), seq(BYTES, GPT2), seq(BYTES, split(r"\s")), seq(split(" ", kind="String"), BYTES), seq(split(".", "MergedWithPrevious", kind="String"), BYTES), seq(split(r"\s+", "Removed"), GPT2), seq(split(r"\s+", "Removed", True), BYTES),
    ]),
    *({"post_processor": p} for p in [None, TRIM, {"type": "Sequence", "processors": []}, {"type": "Sequence", "processors": [TRIM, template([SPECIAL, A])]}, template([A], {}), template([A, SPECIAL]), template([SPECIAL, A, SPECIAL]),
        {"type": "RobertaProcessing", "sep": ["<|end_of_text|>", 2047], "cls": ["<|begin_of_text|>", 2046], "trim_offsets": True, "add_prefix_space": False}, {"type": "BertProcessing", "sep": ["<|end_of_text|>", 2047], "cls": ["<|begin_of_text|>", 2046]}]),
    *({"decoder": d} for d in [None, TRIM, {"type": "Sequence", "decoders": [TRIM]}, {"type": "Sequence", "decoders": [TRIM, {"type": "Fuse"}]}]),
    *({"model": m} for m in [{"dropout": None}, {"dropout": 0.0}, {"unk_token": None}, {"unk_token": "<|end_of_text|>"}, {"fuse_unk": True}, {"byte_fallback": True}, {"ignore_merges": True}, {"continuing_subword_prefix": ""}, {"end_of_word_suffix": ""}, {"type": "BPE"}]),
    {"truncation": None, "padding": None}, {"padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "!"}},
]
MORE = [
    *({"normalizer": n} for n in [{"type": "Lowercase"}, nseq({"type": "NFC"}, {"type": "Lowercase"}), replace("a", "b"), replace("a", ""), replace("a", "a", "Regex"), {"type": "Strip", "strip_left": True, "strip_right": False}, {**BERT, "lowercase": True}, {**BERT, "clean_text": True}, {"type": "Prepend", "prepend": "x"}, {"type": "Prepend", "prepend": ""}, {"type": "StripAccents"}, {"type": "Nmt"}]),
    *({"pre_tokenizer": p} for p in [None, seq(), seq(LLAMA3), {"type": "Whitespace"}, seq({"type": "Whitespace"}, BYTES), seq({"type": "Punctuation", "behavior": "Isolated"}, GPT2), {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, seq(split(r"\G"), BYTES)]),
    *({"post_processor": p} for p in [template([SPECIAL, SPECIAL, A])]),
    *({"model": m} for m in [{"continuing_subword_prefix": "##"}, {"end_of_word_suffix": "</w>"}]),
]


def with_changes(changes):
    return {**BASE, **changes, "model": {**BASE["model"], **changes.get("model", {})}}


def ids_of(tokenizer, text):
    try:
        return tokenizer.encode(text, add_special_tokens=False).ids
    except BaseException:  # it panics over some normalized texts
        return None


def case(changes, must):
    try:
        tokenizer = Tokenizer.from_str(json.dumps(with_changes(changes)))
    except BaseException:  # it panics over some files
        return [changes, must, None]
    tokenizer.encode_special_tokens = True
    return [changes, must, [ids_of(tokenizer, text) for text in TEXTS]]


cases = [case(changes, True) for changes in MUST] + [case(changes, False) for changes in MORE]
for changes, must, ids in cases:
    if must and ids is None:
        print("refused by tokenizers:", json.dumps(changes)[:200])
out = ROOT / "test/reference/spellings.golden.json"
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
out.write_text('{"texts":%s,\n"cases":[\n%s\n]}\n' % (json.dumps(TEXTS), lines))
print(out, len(cases), out.stat().st_size)
