#!/usr/bin/env python3
"""Make the tiny random checkpoints and their goldens: test/reference/tiny/<name>/.

    python test/reference/make_tiny.py [NAME ...]

A folder holds a checkpoint in the published layout (config.json, generation_config.json, model.safetensors or three shards
with model.safetensors.index.json; no tokenizer) and beside it golden.json with little-endian f32 files: what transformers
computes from it with eager attention and all arithmetic in float32 (the stored bf16 or f16 weights widened, which is exact).
README.md describes the files. The weights are drawn from a seed so that nothing hides an error: norm weights far from 1,
attention scores and logits spread over several units, every rotary frequency in use.
"""
import json
import math
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent / "tiny"
DTYPES = {"f32": (torch.float32, "float32"), "f16": (torch.float16, "float16"), "bf16": (torch.bfloat16, "bfloat16")}
GREEDY = 32

# Positions of a long prompt whose logits are kept: the ends, the borders of 16-, 64- and 128-key blocks, and a spread.
BORDERS = [0, 1, 2, 7, 15, 16, 17, 31, 32, 62, 63, 64, 65, 66, 95, 96, 126, 127, 128, 129, 130]


def llama3(factor, original):
    return {
        "factor": factor,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": original,
        "rope_type": "llama3",
    }


CHECKPOINTS = {
    "gqa-f32": {
        "about": "GQA 6/2, untied, f32, every tap",
        "seed": 1,
        "dtype": "f32",
        "shape": {"hidden": 48, "heads": 6, "kv": 2, "ffn": 100, "vocab": 256, "layers": 2},
        "tied": False,
        "prompts": {"short": (12, "all"), "long": (161, "all")},
        "taps": "short",
    },
    "mqa-tied-bf16": {
        "about": "MQA 4/1, tied, bf16, theta of Llama 3, eos a list",
        "seed": 2,
        "dtype": "bf16",
        "shape": {"hidden": 64, "heads": 4, "kv": 1, "ffn": 172, "vocab": 320, "layers": 2},
        "tied": True,
        "rope": {"rope_theta": 500000.0, "rope_scaling": None},
        "eos": [2, 5, 9],
        "prompts": {"short": (24, "all"), "long": (150, "some")},
    },
    "mha-f16": {
        "about": "MHA 4/4, untied, f16, norm eps 1e-3, num_key_value_heads and head_dim left out of config.json",
        "seed": 3,
        "dtype": "f16",
        "shape": {"hidden": 64, "heads": 4, "kv": 4, "ffn": 160, "vocab": 300, "layers": 2},
        "tied": False,
        "eps": 1e-3,
        "omit": ["num_key_value_heads", "head_dim"],
        "prompts": {"short": (70, "all")},
    },
    "odd-tied-bf16": {
        "about": "odd sizes: vocab 1003, ffn 420, head_dim 16 where hidden / heads = 12, GQA 6/3, tied, bf16",
        "seed": 4,
        "dtype": "bf16",
        "shape": {"hidden": 72, "heads": 6, "kv": 3, "head_dim": 16, "ffn": 420, "vocab": 1003, "layers": 2},
        "tied": True,
        "prompts": {"short": (9, "all"), "long": (150, "some")},
    },
    "llama3-rope-sharded-bf16": {
        "about": "llama3 rope scaling (rope_theta and rope_scaling), GQA 6/2, untied, bf16, three shards",
        "seed": 5,
        "dtype": "bf16",
        "shape": {"hidden": 96, "heads": 6, "kv": 2, "ffn": 128, "vocab": 256, "layers": 2},
        "tied": False,
        "rope": {"rope_theta": 10000.0, "rope_scaling": llama3(8.0, 64)},
        "shards": 3,
        "prompts": {"short": (12, "all"), "long": (200, "all")},
    },
    "llama3-rope-parameters-f32": {
        "about": "llama3 rope scaling spelled rope_parameters (transformers 5), factor 32, MQA 3/1, tied, f32",
        "seed": 6,
        "dtype": "f32",
        "shape": {"hidden": 48, "heads": 3, "kv": 1, "ffn": 84, "vocab": 203, "layers": 3},
        "tied": True,
        "rope": {"rope_parameters": {"rope_theta": 5000.0, **llama3(32.0, 96)}},
        "prompts": {"short": (12, "all"), "long": (170, "all")},
    },
    "linear-rope-f16": {
        "about": "linear rope scaling, factor 4, hidden_act swish, MHA 2/2, untied, f16",
        "seed": 7,
        "dtype": "f16",
        "shape": {"hidden": 32, "heads": 2, "kv": 2, "ffn": 60, "vocab": 211, "layers": 2},
        "tied": False,
        "rope": {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
        "config": {"hidden_act": "swish"},
        "prompts": {"short": (12, "all"), "long": (180, "some")},
    },
    "yarn-rope-bf16": {
        "about": "yarn, factor 8 over 48 positions, its own attention factor, rope_theta in rope_scaling, GQA 4/2, tied, bf16",
        "seed": 8,
        "dtype": "bf16",
        "shape": {"hidden": 64, "heads": 4, "kv": 2, "ffn": 72, "vocab": 205, "layers": 2},
        "tied": True,
        "rope": {
            "rope_scaling": {
                "rope_theta": 20000.0,
                "type": "yarn",
                "factor": 8.0,
                "original_max_position_embeddings": 48,
                "finetuned": True,
            }
        },
        "prompts": {"short": (12, "all"), "long": (190, "some")},
    },
    "yarn-mscale-f32": {
        "about": "yarn with mscale, mscale_all_dim, beta_fast, beta_slow, truncate false, in rope_parameters, MQA 2/1, untied, f32",
        "seed": 9,
        "dtype": "f32",
        "shape": {"hidden": 32, "heads": 2, "kv": 1, "head_dim": 32, "ffn": 52, "vocab": 207, "layers": 2},
        "tied": False,
        "rope": {
            "rope_parameters": {
                "rope_theta": 10000.0,
                "rope_type": "yarn",
                "factor": 16.0,
                "original_max_position_embeddings": 32,
                "mscale": 1.3,
                "mscale_all_dim": 0.5,
                "beta_fast": 2.0,
                "beta_slow": 0.5,
                "truncate": False,
            }
        },
        "prompts": {"short": (12, "all"), "long": (170, "some")},
    },
    "mistral-bf16": {
        "about": "MistralForCausalLM without a sliding window, num_key_value_heads left out (8), bf16, untied",
        "seed": 10,
        "dtype": "bf16",
        "shape": {"hidden": 64, "heads": 16, "kv": 8, "head_dim": 8, "ffn": 80, "vocab": 209, "layers": 2},
        "tied": False,
        "rope": {"rope_theta": 1000000.0},
        "config": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None},
        "omit": ["num_key_value_heads", "attention_bias", "mlp_bias", "pretraining_tp"],
        "prompts": {"short": (12, "all"), "long": (150, "some")},
    },
}


def config_json(spec):
    shape, (_, dtype) = spec["shape"], DTYPES[spec["dtype"]]
    rope = spec.get("rope", {"rope_theta": 10000.0, "rope_scaling": None})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "dtype" if "rope_parameters" in rope else "torch_dtype": dtype,
        "eos_token_id": spec.get("eos", 2),
        "head_dim": shape.get("head_dim", shape["hidden"] // shape["heads"]),
        "hidden_act": "silu",
        "hidden_size": shape["hidden"],
        "initializer_range": 0.02,
        "intermediate_size": shape["ffn"],
        "max_position_embeddings": 512,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": shape["heads"],
        "num_hidden_layers": shape["layers"],
        "num_key_value_heads": shape["kv"],
        "pretraining_tp": 1,
        "rms_norm_eps": spec.get("eps", 1e-5),
        **rope,
        "tie_word_embeddings": spec["tied"],
        "use_cache": True,
        "vocab_size": shape["vocab"],
        **spec.get("config", {}),
    }
    return {key: value for key, value in config.items() if key not in spec.get("omit", [])}


def make_weights(spec, generator):
    """Published names and order. The scales keep the hidden state, the attention scores and the logits a few units wide."""
    shape, (dtype, _) = spec["shape"], DTYPES[spec["dtype"]]
    hidden, ffn, vocab = shape["hidden"], shape["ffn"], shape["vocab"]
    head = shape.get("head_dim", hidden // shape["heads"])
    weights = {}

    def matrix(name, rows, columns, gain=1.0):
        weights[name] = torch.randn(rows, columns, generator=generator) * (gain / math.sqrt(columns))

    def norm(name):
        weights[name] = 0.4 + 1.2 * torch.rand(hidden, generator=generator)

    matrix("model.embed_tokens.weight", vocab, hidden, gain=4.0)
    for i in range(shape["layers"]):
        layer = f"model.layers.{i}."
        norm(layer + "input_layernorm.weight")
        matrix(layer + "self_attn.q_proj.weight", shape["heads"] * head, hidden, gain=1.5)
        matrix(layer + "self_attn.k_proj.weight", shape["kv"] * head, hidden, gain=1.5)
        matrix(layer + "self_attn.v_proj.weight", shape["kv"] * head, hidden)
        matrix(layer + "self_attn.o_proj.weight", hidden, shape["heads"] * head)
        norm(layer + "post_attention_layernorm.weight")
        matrix(layer + "mlp.gate_proj.weight", ffn, hidden, gain=1.5)
        matrix(layer + "mlp.up_proj.weight", ffn, hidden, gain=1.5)
        matrix(layer + "mlp.down_proj.weight", hidden, ffn)
    norm("model.norm.weight")
    if not spec["tied"]:
        matrix("lm_head.weight", vocab, hidden, gain=4.0)
    return {name: tensor.to(dtype).contiguous() for name, tensor in weights.items()}


def write_weights(folder, weights, shards):
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    bytes_of = {name: tensor.numel() * tensor.element_size() for name, tensor in weights.items()}
    total, filled, parts = sum(bytes_of.values()), 0, [{} for _ in range(shards)]
    for name, tensor in weights.items():
        parts[min(shards - 1, filled * shards // total)][name] = tensor
        filled += bytes_of[name]
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    for file, part in zip(files, parts):
        save_file(part, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in zip(files, parts) for name in part}
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_json(path, value, indent=2):
    path.write_text(json.dumps(value, indent=indent, sort_keys=path.name == "model.safetensors.index.json") + "\n")


def prompt_ids(length, vocab, generator):
    """Random ids that hold the first and the last of the vocabulary; some repeat."""
    ids = torch.randint(0, vocab, (length,), generator=generator).tolist()
    ids[0], ids[3], ids[5] = 1, vocab - 1, 0
    ids[7] = ids[4]
    return ids


def positions_of(length, which):
    if which == "all":
        return list(range(length))
    spread = range(133, length - 1, 7)
    return sorted({p for p in [*BORDERS, *range(40, 126, 9), *spread, length - 2, length - 1] if p < length})


def write_f32(path, array):
    array = np.ascontiguousarray(array, dtype="<f4")
    assert np.isfinite(array).all()
    array.tofile(path)
    return {"file": path.name, "shape": list(array.shape)}


def taps_of(model, ids):
    """The hidden state after the embedding, after each residual addition and after the last norm."""
    taps, hooks = {}, []

    def first(value):
        return value[0] if isinstance(value, tuple) else value

    def after(name):
        return lambda _module, _inputs, output: taps.__setitem__(name, first(output).squeeze(0).clone())

    def before(name):
        return lambda _module, inputs: taps.__setitem__(name, first(inputs).squeeze(0).clone())

    hooks.append(model.model.embed_tokens.register_forward_hook(after("embedding")))
    for i, layer in enumerate(model.model.layers):
        hooks.append(layer.post_attention_layernorm.register_forward_pre_hook(before(f"layers.{i}.attention")))
        hooks.append(layer.register_forward_hook(after(f"layers.{i}.mlp")))
    hooks.append(model.model.norm.register_forward_hook(after("norm")))
    model(torch.tensor([ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return taps


def greedy(model, ids):
    """A continuation by whole passes (no cache), with what is needed to know which of its ids are certain."""
    ids, new, margins, largest = list(ids), [], [], []
    for _ in range(GREEDY):
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        best = logits.topk(2)
        new.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
        largest.append(float(logits.abs().max()))
        ids.append(new[-1])
    return {"ids": new, "margins": margins, "maxAbsLogit": largest}


def make(name, spec):
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(spec["seed"])
    write_json(folder / "config.json", config_json(spec))
    eos = spec.get("eos", 2)
    generation = {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": eos}
    if isinstance(eos, list):
        generation |= {"do_sample": True, "temperature": 0.6, "top_p": 0.9}
    write_json(folder / "generation_config.json", generation)
    write_weights(folder, make_weights(spec, generator), spec.get("shards", 1))

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    assert model.config._attn_implementation == "eager" and model.dtype == torch.float32
    golden = {
        "name": name,
        "about": spec["about"],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "inverseFrequencies": model.model.rotary_emb.inv_freq.tolist(),
        "attentionFactor": float(model.model.rotary_emb.attention_scaling),
        "prompts": [],
    }
    vocab = spec["shape"]["vocab"]
    for prompt, (length, which) in spec["prompts"].items():
        ids = prompt_ids(length, vocab, generator)
        logits = model(torch.tensor([ids]), use_cache=False).logits[0].numpy()
        positions = positions_of(length, which)
        entry = {
            "name": prompt,
            "ids": ids,
            "positions": positions,
            "logits": write_f32(folder / f"{prompt}.logits.f32", logits[positions]),
            "maxAbsLogit": np.abs(logits[positions]).max(axis=1).tolist(),
            "greedy": greedy(model, ids),
        }
        if spec.get("taps") == prompt:
            taps = taps_of(model, ids)
            array = torch.stack(list(taps.values())).numpy()
            entry["taps"] = {"names": list(taps), **write_f32(folder / f"{prompt}.taps.f32", array)}
        golden["prompts"].append(entry)
    write_json(folder / "golden.json", golden, indent=None)
    size = sum(f.stat().st_size for f in folder.iterdir())
    spread = {p["name"]: round(max(p["maxAbsLogit"]), 2) for p in golden["prompts"]}
    print(f"{name}: {size / 1000:.0f} kB, max |logit| {spread}")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with torch.inference_mode():
        for name in sys.argv[1:] or CHECKPOINTS:
            make(name, CHECKPOINTS[name])


main()
