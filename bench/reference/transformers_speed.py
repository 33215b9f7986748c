#!/usr/bin/env python3
"""How fast transformers (PyTorch, CPU) runs a checkpoint: the figures that docs/benchmarks.md compares with.

    python bench/reference/transformers_speed.py build/models/smollm2 [--threads 2] [--repeats 5]

decode   greedy, key/value cache, 64 new tokens after a prompt of 32; the prompt's own pass is not in the time. Once with
         the weights as stored (bf16), once widened to float32. `loop` calls the model for every token and nothing else,
         `generate` is model.generate with its bookkeeping; the better of the two is what a comparison must beat.
prefill  one pass over 512 tokens, logits of the last one only (what generate asks for), float32 and as stored.

Every figure is the median over the repeats, after one pass that is not counted; prints one JSON object.
"""
import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import AutoModelForCausalLM

PROMPT, NEW, PREFILL = 32, 64, 512


def cpu_name():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")


def rates(repeats, tokens, run):
    """tokens/s of `run`, which returns the seconds that it measured: median, best and worst."""
    run()
    seconds = [run() for _ in range(repeats)]
    return {
        "median": round(tokens / statistics.median(seconds), 2),
        "best": round(tokens / min(seconds), 2),
        "worst": round(tokens / max(seconds), 2),
    }


def decode_loop(model, ids):
    out = model(ids, use_cache=True, logits_to_keep=1)
    cache, token = out.past_key_values, out.logits[:, -1:].argmax(-1)
    begin = time.perf_counter()
    for _ in range(NEW):
        out = model(token, past_key_values=cache, use_cache=True)
        token = out.logits[:, -1:].argmax(-1)
    return time.perf_counter() - begin


def decode_generate(model, ids):
    def seconds(new):
        begin = time.perf_counter()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            use_cache=True,
            min_new_tokens=new,
            max_new_tokens=new,
        )
        return time.perf_counter() - begin

    return seconds(NEW + 1) - seconds(1)


def prefill(model, ids):
    begin = time.perf_counter()
    model(ids, use_cache=True, logits_to_keep=1)
    return time.perf_counter() - begin


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", help="a checkpoint folder")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--repeats", type=int, default=5)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()

    result = {
        "model": args.model,
        "cpu": cpu_name(),
        "threads": args.threads,
        "repeats": args.repeats,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "unit": "tokens/s",
    }
    with torch.inference_mode():
        for name, dtype in (("stored", "auto"), ("float32", torch.float32)):
            model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).eval()
            ids = torch.randint(3, model.config.vocab_size, (1, PREFILL), generator=torch.Generator().manual_seed(1))
            prompt = ids[:, :PROMPT]
            result[name] = {
                "dtype": str(model.dtype).removeprefix("torch."),
                "attention": model.config._attn_implementation,
                "decode": {
                    "loop": rates(args.repeats, NEW, lambda: decode_loop(model, prompt)),
                    "generate": rates(args.repeats, NEW, lambda: decode_generate(model, prompt)),
                },
                "prefill": rates(args.repeats, PREFILL, lambda: prefill(model, ids)),
            }
            del model
    print(json.dumps(result, indent=2))


main()
