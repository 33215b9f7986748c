#!/usr/bin/env python3
"""Make the goldens of training: training.golden.json and gradients/<checkpoint>.f32.

    python test/reference/training.py

Gradients are PyTorch's autograd, all arithmetic in float64: of single ops over drawn contents, and of a Llama written out here in
float64 (transformers computes norms and softmax in float32 whatever the model's dtype is), over the tiny checkpoints of make_tiny.py.
That this Llama is the one of transformers is checked first, by the logits of those checkpoints. A loss curve of 50 steps of
torch.optim.AdamW goes with them. README.md describes the files.
"""
import base64
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parent
CHECKPOINTS = ["gqa-f32", "mqa-tied-bf16", "llama3-rope-parameters-f32"]
STEPS = 50


def encoded(tensor):
    array = np.ascontiguousarray(tensor.detach().numpy(), dtype="<f4")
    assert np.isfinite(array).all()
    return {"shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def draw(generator, *shape):
    """float64 numbers that are exact in float32."""
    return torch.randn(*shape, generator=generator, dtype=torch.float32).double().requires_grad_()


# --- the Llama of transformers, in float64 ------------------------------------------------------------------------------------------


def norm(x, weight, eps):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def attention(q, k, v, scale):
    """[heads, T, d], k and v of fewer heads: causal."""
    group = q.shape[0] // k.shape[0]
    scores = q @ k.repeat_interleave(group, 0).transpose(-1, -2) * scale
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v.repeat_interleave(group, 0)


def logits_of(config, frequencies, factor, w, ids):
    heads, kv = config["num_attention_heads"], config.get("num_key_value_heads") or config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    eps = config["rms_norm_eps"]
    # Angles are products in float32, as everywhere.
    angles = (torch.arange(len(ids), dtype=torch.float32)[:, None] * torch.tensor(frequencies, dtype=torch.float32)).double()
    cos, sin = angles.cos() * factor, angles.sin() * factor
    split = lambda x, count: x.view(len(ids), count, size).transpose(0, 1)
    x = w["model.embed_tokens.weight"][torch.tensor(ids)]
    for i in range(config["num_hidden_layers"]):
        p = lambda name: w[f"model.layers.{i}.{name}.weight"]
        h = norm(x, p("input_layernorm"), eps)
        q, k, v = (split(h @ p(f"self_attn.{n}_proj").T, c) for n, c in [("q", heads), ("k", kv), ("v", kv)])
        out = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, size**-0.5)
        x = x + out.transpose(0, 1).reshape(len(ids), -1) @ p("self_attn.o_proj").T
        h = norm(x, p("post_attention_layernorm"), eps)
        x = x + (F.silu(h @ p("mlp.gate_proj").T) * (h @ p("mlp.up_proj").T)) @ p("mlp.down_proj").T
    return norm(x, w["model.norm.weight"], eps) @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T


class Llama:
    def __init__(self, name):
        folder = ROOT / "tiny" / name
        self.config = json.loads((folder / "config.json").read_text())
        self.golden = json.loads((folder / "golden.json").read_text())
        stored = load_file(folder / "model.safetensors")
        self.w = {key: tensor.double().requires_grad_() for key, tensor in stored.items()}
        prompt = self.golden["prompts"][0]
        expected = np.fromfile(folder / prompt["logits"]["file"], dtype="<f4").reshape(prompt["logits"]["shape"])
        got = self.logits(prompt["ids"]).detach().numpy()[prompt["positions"]]
        assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max(), name

    def logits(self, ids):
        g = self.golden
        return logits_of(self.config, g["inverseFrequencies"], g.get("attentionFactor", 1), self.w, ids)

    def loss(self, document, weights):
        """Σ weight · −log p(next id), over the rows that have one."""
        losses = F.cross_entropy(self.logits(document)[:-1], torch.tensor(document[1:], dtype=torch.long), reduction="none")
        return (losses * torch.tensor(weights[:-1], dtype=torch.float64)).sum()


def documents_of(lengths, vocab, generator):
    return [torch.randint(0, vocab, (length,), generator=generator).tolist() for length in lengths]


def make_gradients(name):
    model = Llama(name)
    generator = torch.Generator().manual_seed(3)
    documents = documents_of([70, 1, 2, 33], model.config["vocab_size"], generator)
    weights = [[[1, 0.5, 2][(t + i) % 3] for t in range(len(document))] for i, document in enumerate(documents)]
    loss = sum(model.loss(document, weight) for document, weight in zip(documents, weights))
    loss.backward()
    names = sorted(model.w)
    array = np.concatenate([model.w[key].grad.numpy().ravel() for key in names]).astype("<f4")
    (ROOT / "gradients").mkdir(exist_ok=True)
    array.tofile(ROOT / "gradients" / f"{name}.f32")
    tensors = [{"name": key, "shape": list(model.w[key].shape)} for key in names]
    return {"name": name, "documents": documents, "weights": weights, "loss": loss.item(), "tensors": tensors}


def make_curve(name):
    """Steps of two micro-batches of two documents each, out of eight that come again."""
    model = Llama(name)
    generator = torch.Generator().manual_seed(4)
    documents = documents_of([31, 40, 17, 25, 38, 12, 29, 36], model.config["vocab_size"], generator)
    decayed = [tensor for tensor in model.w.values() if tensor.dim() == 2]
    others = [tensor for tensor in model.w.values() if tensor.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.95), eps=1e-8)
    rates, losses, norms = [], [], []
    for step in range(STEPS):
        rate = 0.003 * min((step + 1) / 10, (STEPS - step) / (STEPS - 10))
        batch = [documents[(4 * step + i) % 8] for i in range(4)]
        count = sum(len(document) - 1 for document in batch)
        optimizer.zero_grad()
        loss = sum(model.loss(document, [1] * len(document)) for document in batch) / count
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.w.values(), 1.0).item())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        rates.append(rate)
        losses.append(loss.item())
    return {"name": name, "documents": documents, "rates": rates, "losses": losses, "norms": norms}


# --- single ops ---------------------------------------------------------------------------------------------------------------------


def op(name, inputs, out, attributes=None, constants=None):
    """Of the sum of out · dOut, for a dOut that is drawn."""
    d_out = draw(torch.Generator().manual_seed(9), *out.shape).detach()
    (out * d_out).sum().backward()
    return {
        "op": name,
        "attributes": attributes or {},
        "inputs": {key: encoded(x) for key, x in {**inputs, **(constants or {})}.items()},
        "out": encoded(out),
        "dOut": encoded(d_out),
        "gradients": {key: encoded(x.grad) for key, x in inputs.items()},
    }


def make_ops():
    g = torch.Generator().manual_seed(5)
    cases = []
    for rows, depth, features in [(7, 33, 19), (40, 5, 130)]:
        a, b = draw(g, rows, depth), draw(g, features, depth)
        cases.append(op("matmul", {"a": a, "b": b}, a @ b.T))
    for rows, width in [(9, 37), (3, 130)]:
        x, weight = draw(g, rows, width), draw(g, width)
        cases.append(op("rmsNorm", {"x": x, "weight": weight}, norm(x, weight, 0.015625), {"epsilon": 0.015625}))
        gate, up = draw(g, rows, width), draw(g, rows, width)
        cases.append(op("swiglu", {"gate": gate, "up": up}, F.silu(gate) * up))
    for rows, heads, half in [(6, 3, 5), (11, 1, 32)]:
        x, angles = draw(g, rows, heads * 2 * half), draw(g, rows, half, 2).detach()
        turned = rotate(x.view(rows, heads, 2 * half).transpose(0, 1), angles[..., 0], angles[..., 1])
        cases.append(op("rope", {"x": x}, turned.transpose(0, 1).reshape(rows, -1), constants={"angles": angles}))
    for rows, kv, group, size in [(13, 2, 3, 8), (70, 1, 2, 17)]:
        q, k, v = draw(g, rows, kv * group * size), draw(g, rows, kv * size), draw(g, rows, kv * size)
        split = lambda x, count: x.view(rows, count, size).transpose(0, 1)
        out = attention(split(q, kv * group), split(k, kv), split(v, kv), 0.375)
        attributes = {"scale": 0.375, "headSize": size}
        cases.append(op("attention", {"q": q, "k": k, "v": v}, out.transpose(0, 1).reshape(rows, -1), attributes))
    for rows, vocab in [(5, 23), (3, 700)]:
        logits = (draw(g, rows, vocab).detach() * 4).requires_grad_()
        targets = torch.randint(0, vocab, (rows,), generator=g)
        losses = F.cross_entropy(logits, targets, reduction="none")
        cases.append(op("crossEntropy", {"logits": logits}, losses, constants={"targets": targets.float()}))
    return cases


def main():
    torch.set_num_threads(1)
    golden = {
        "torch": torch.__version__,
        "ops": make_ops(),
        "gradients": [make_gradients(name) for name in CHECKPOINTS],
        "curve": make_curve("gqa-f32"),
    }
    (ROOT / "training.golden.json").write_text(json.dumps(golden) + "\n")


main()
