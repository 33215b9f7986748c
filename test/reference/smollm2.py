#!/usr/bin/env python3
"""Make the goldens of SmolLM2-135M-Instruct: test/reference/smollm2.json and smollm2.logits.f32.

    python test/reference/smollm2.py build/models/smollm2

What transformers computes from the folder that scripts/make-smollm2.sh makes, with eager attention and all arithmetic in
float32: for eight prompts the largest logit magnitude, the 8 best logits and 64 sampled ones at every position, 48 greedily
chosen tokens with their margins, and for one prompt all logits at two positions. README.md describes the files.
"""
import argparse
import base64
import hashlib
import json
import pathlib

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).resolve().parent
TOP, SAMPLED, GREEDY = 8, 64, 48
FULL_PROMPT = "chat-question"

PROMPTS = {
    "chat-question": [{"role": "user", "content": "What is the capital of France, and what is it known for?"}],
    "chat-turns": [
        {"role": "system", "content": "You are a patient teacher. Answer in plain words."},
        {"role": "user", "content": "Why is the sky blue?"},
        {"role": "assistant", "content": "Because air scatters blue light more than red light."},
        {"role": "user", "content": "Then why is a sunset red? Explain it to me step by step."},
    ],
    "english": "Once upon a time, in a village between two rivers, there lived a clockmaker who",
    "english-long": (
        "The history of knotted strings as a record of numbers is older than paper in the Andes. A cord hung from a main "
        "cord; knots were tied at fixed heights, so that a reader could feel hundreds, tens and units with the fingers. "
        "Colours named the thing that was counted: maize, llamas, soldiers or days of work. When the officials met at "
        "the end of the year, each brought the cords of his province and read them aloud, one after another. Scholars "
        "still argue whether some of the cords hold more than numbers, perhaps names or even stories. In other words,"
    ),
    "code": (
        "def quicksort(items):\n    if len(items) <= 1:\n        return items\n    pivot = items[0]\n"
        "    smaller = [x for x in items[1:] if x < pivot]\n"
    ),
    "languages": "Der schnelle braune Fuchs springt über den faulen Hund. Le café est déjà fermé. El niño comió una manzana y",
    "scripts": "今日は天気がいいですね。Привет, как дела? שלום 👋🏽 مرحبا",
    "numbers": "0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144; 3.14159265; 2024-07-23 17:05; $1,234.50 + 17% =",
}


def base64_of(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def sampled_ids(prompt, position, vocab):
    """One id in each of SAMPLED equal strata of the vocabulary, moving with the position."""
    width = vocab // SAMPLED
    return np.arange(SAMPLED) * width + (401 * position + 97 * prompt) % width


def encode(folder, prompt):
    """The text, and its ids as tokenizer.json defines them; the templates are rendered by transformers."""
    if isinstance(prompt, str):
        text = prompt
    else:
        text = AutoTokenizer.from_pretrained(folder).apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    return text, Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids


def greedy(model, ids):
    """Decodes with a cache, then checks every choice in one pass over the whole sequence, which gives the margins."""
    new, cache, step = [], None, torch.tensor([ids])
    for _ in range(GREEDY):
        out = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, step = out.past_key_values, out.logits[:, -1:].argmax(-1)
        new.append(int(step))
    logits = model(torch.tensor([ids + new[:-1]]), use_cache=False, logits_to_keep=GREEDY).logits[0]
    best = logits.topk(2)
    assert best.indices[:, 0].tolist() == new
    return {
        "ids": new,
        "margins": base64_of(best.values[:, 0] - best.values[:, 1], "<f4"),
        "maxAbsLogit": base64_of(logits.abs().amax(-1), "<f4"),
    }


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", type=pathlib.Path, help="the SmolLM2 folder")
    folder = ap.parse_args().model
    torch.set_num_threads(2)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    assert model.config._attn_implementation == "eager" and model.dtype == torch.float32
    vocab = model.config.vocab_size
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    weights = hashlib.sha256()
    for shard in sorted(folder.glob("*.safetensors")):
        weights.update(shard.read_bytes())

    golden = {
        "model": "SmolLM2-135M-Instruct",
        "sha256": weights.hexdigest(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "vocabSize": vocab,
        "top": TOP,
        "sampled": SAMPLED,
        "prompts": [],
    }
    with torch.inference_mode():
        for index, (name, prompt) in enumerate(PROMPTS.items()):
            text, ids = encode(folder, prompt)
            logits = model(torch.tensor([ids]), use_cache=False).logits[0]
            best = logits.topk(TOP)
            sample = np.stack([logits[p].numpy()[sampled_ids(index, p, vocab)] for p in range(len(ids))])
            entry = {
                "name": name,
                **({"text": text} if isinstance(prompt, str) else {"messages": prompt, "text": text}),
                "ids": ids,
                "maxAbsLogit": base64_of(logits.abs().amax(-1), "<f4"),
                "topIds": base64_of(best.indices, "<u2"),
                "topLogits": base64_of(best.values, "<f4"),
                "sampledLogits": base64_of(sample, "<f4"),
                "greedy": greedy(model, ids),
            }
            if name == FULL_PROMPT:
                positions = [len(ids) // 2, len(ids) - 1]
                file = HERE / "smollm2.logits.f32"
                logits[positions].numpy().astype("<f4").tofile(file)
                entry["full"] = {"positions": positions, "file": file.name, "shape": [len(positions), vocab]}
            golden["prompts"].append(entry)
            print(f"{name}: {len(ids)} tokens, then {tokens.decode(entry['greedy']['ids'], skip_special_tokens=False)!r}")
    # One prompt a line, so that a change of one is a change of one line.
    head = {key: value for key, value in golden.items() if key != "prompts"}
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in golden["prompts"])
    (HERE / "smollm2.json").write_text(json.dumps(head)[:-1] + ', "prompts": [\n' + lines + "\n]}\n", encoding="utf-8")


main()
