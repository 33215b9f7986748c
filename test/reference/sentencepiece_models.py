"""Small SentencePiece models and what SentencePiece makes of texts: sentencepiece.golden.json, read by
test/unit/tokenizer/sentencepiece.test.ts.

    pip install sentencepiece==0.2.3 protobuf
    python3 test/reference/sentencepiece_models.py

A model is trained on texts of this repository, then changed in its fields; `model` is the file in base64, `cases` are texts with their ids and
what those decode to, `drawn` are ids drawn at random and what they decode to.
"""

import base64
import json
import random
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

ROOT = Path(__file__).parents[2]
TEXT = [line for name in ("README.md", "CONTRIBUTING.md") for line in (ROOT / name).read_text().splitlines() if 10 < len(line) < 3000]
PARTS = ["the ", "kernel", " of", "  ", " ", "   a", "tokens", "é", "日本", "😀", "\n", "\t", "\u2581", "\u2581\u2581", "<x>", "ab", "abc", "cab", "<s>", "</s>", "<unk>", "<0x41>", "xyz", "123", "ß", "\u00a0", "q" * 9, "the the"]
rnd = random.Random(5)


def trained(**options):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text").write_text("\n".join(TEXT))
        settings = {"model_type": "bpe", "vocab_size": 600, "normalization_rule_name": "identity", "minloglevel": 2, "character_coverage": 0.99, **options}
        sentencepiece.SentencePieceTrainer.train(input=f"{folder}/text", model_prefix=f"{folder}/m", **settings)
        return sentencepiece_model_pb2.ModelProto.FromString((Path(folder) / "m.model").read_bytes())


def with_ties(model):
    """Scores that many pieces share, in no order."""
    for piece in model.pieces:
        if piece.type == 1:
            piece.score = -float(rnd.randrange(40))
    return model


LLAMA = {"byte_fallback": True, "vocab_size": 800, "add_dummy_prefix": True, "remove_extra_whitespaces": False, "split_digits": True, "allow_whitespace_only_pieces": True}
MODELS = {
    "as Llama's": trained(**LLAMA),
    "scores that are equal": with_ties(trained(**LLAMA)),
    "symbols of users": trained(**{**LLAMA, "user_defined_symbols": ["<x>", "\u2581\u2581", "the", "ab", "abc", "\n"]}),
    "spaces left out, nothing put first": trained(add_dummy_prefix=False, remove_extra_whitespaces=True),
    "spaces left out, one put first": trained(remove_extra_whitespaces=True, byte_fallback=True, vocab_size=800),
    "without bytes": trained(remove_extra_whitespaces=False, split_by_whitespace=False),
}


def cases(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    texts = ["", " ", "  ", "a", " a", "a ", *rnd.sample(TEXT, 8)]
    texts += ["".join(rnd.choice(PARTS) for _ in range(rnd.randint(1, 20))) for _ in range(40)]
    encoded = [[text, processor.encode(text)] for text in texts]
    # What is unknown is decoded as " ⁇ ", which is no text of anybody's.
    return [[text, ids, None if processor.unk_id() in ids else processor.decode(ids)] for text, ids in encoded]


def drawn(model):
    """Most begin with pieces that begin with a mark, or are nothing but marks."""
    rnd = random.Random(6)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    ids = [id for id, piece in enumerate(model.pieces) if piece.type != 2]
    marks = [id for id in ids if model.pieces[id].piece.startswith("\u2581")]
    only = [id for id in ids if not model.pieces[id].piece.strip("\u2581")] + [id for id in ids if model.pieces[id].piece in ("<0x20>", "<s>")]
    lists = [[rnd.choice(rnd.choice((only, marks, ids))) for _ in range(rnd.randint(1, 8))] for _ in range(60)]
    return [[list_, processor.decode(list_)] for list_ in lists]


def changed(model, **fields):
    copy = sentencepiece_model_pb2.ModelProto.FromString(model.SerializeToString())
    for name, value in fields.items():
        setattr(copy.normalizer_spec, name, value)
    return copy


MODELS["symbols of users, spaces left out"] = changed(MODELS["symbols of users"], remove_extra_whitespaces=True)
MODELS["symbols of users, nothing put first"] = changed(MODELS["symbols of users"], add_dummy_prefix=False)
golden = {name: {"model": base64.b64encode(model.SerializeToString()).decode(), "cases": cases(model), "drawn": drawn(model)} for name, model in MODELS.items()}
out = ROOT / "test/reference/sentencepiece.golden.json"
out.write_text("{\n%s\n}\n" % ",\n".join(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}" for name, value in golden.items()))
print(out, out.stat().st_size)
