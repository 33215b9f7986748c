#!/usr/bin/env python3
"""Make the golden of Muon: muon.golden.json.

    python test/reference/muon.py

Steps of NorMuon in PyTorch, all arithmetic in float64, written from its papers: momentum and the iteration of Newton and Schulz as
kellerjordan.github.io/posts/muon gives them (with Nesterov's momentum, m = 0.95 m + g), rows by arXiv:2510.05491 (divided by their
running root mean square, the norm put back), cautious decay by arXiv:2510.12402, all scaled by max(1, rows / columns)^0.5.
"""
import base64
import json
import pathlib

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parent
SHAPES = [(16, 16), (12, 40), (48, 20), (1, 9), (7, 1)]
STEPS, RATE, DECAY, MOMENTUM, BETA = 6, 0.02, 0.1, 0.95, 0.95


def encoded(tensor):
    return base64.b64encode(np.ascontiguousarray(tensor.numpy(), dtype="<f4").tobytes()).decode()


def draw(generator, *shape, scale=1.0):
    """float64 numbers that are exact in float32."""
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float32)).double()


def orthogonal(update):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = update.T if update.shape[0] > update.shape[1] else update
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if update.shape[0] > update.shape[1] else x


cases = []
for seed, shape in enumerate(SHAPES):
    generator = torch.Generator().manual_seed(seed)
    weight = draw(generator, *shape, scale=0.02)
    gradients = [draw(generator, *shape) for _ in range(STEPS)]
    case = {"shape": shape, "weight": encoded(weight), "gradients": [encoded(g) for g in gradients]}
    momentum, variance = torch.zeros_like(weight), torch.zeros(shape[0], dtype=torch.float64)
    for gradient in gradients:
        momentum = MOMENTUM * momentum + gradient
        update = orthogonal(MOMENTUM * momentum + gradient)
        variance = BETA * variance + (1 - BETA) * update.square().mean(1)
        rows = update / (variance.sqrt() + 1e-8)[:, None]
        rows = rows * (update.norm() / rows.norm()) * max(1, shape[0] / shape[1]) ** 0.5
        weight = weight * (1 - RATE * DECAY * (update * weight > 0)) - RATE * rows
    cases.append({**case, "after": encoded(weight), "variance": encoded(variance)})
golden = {"steps": STEPS, "rate": RATE, "decay": DECAY, "beta": BETA, "cases": cases}
(ROOT / "muon.golden.json").write_text(json.dumps(golden, indent=1) + "\n")
