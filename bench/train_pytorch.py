"""A training step of transformers' LlamaForCausalLM, for bench/train.js: seconds, and bytes that the process took beyond its imports."""
import json
import resource
import statistics
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

settings = json.loads(sys.argv[1])
WARM_UP = 3
torch.set_num_threads(settings["threads"])
vocab, hidden, ffn, layers, heads, kv = settings["model"]
started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=settings["sequence"],
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
)
if settings["compiled"]:
    model = torch.compile(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
ids = torch.randint(0, vocab, (settings["tokens"] // settings["sequence"], settings["sequence"]))
times = []
for step in range(settings["steps"] + WARM_UP):
    begin = time.perf_counter()
    optimizer.zero_grad()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    loss.item()
    if step >= WARM_UP:
        times.append(time.perf_counter() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": statistics.median(times), "bytes": (peak - started) * 1024}))
