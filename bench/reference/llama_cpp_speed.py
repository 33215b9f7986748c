"""llama.cpp beside quipu on the same weights (bench/peers.js), through llama-cpp-python's low-level API.

    llama_cpp_speed.py gguf CHECKPOINT OUT        a checkpoint of safetensors in bf16 as GGUF, its tokenizer a dummy of the right size
    llama_cpp_speed.py quantize IN OUT TYPE THREADS      by llama_model_quantize: Q8_0, Q4_0, Q4_K_M
    llama_cpp_speed.py serve THREADS DEPTH N PROMPT MODEL…

serve loads the models, with flash attention off and on, prints {"version", "system"}, and answers each line on stdin, {"model": i, "flash": 0 or 1, "test": …},
by milliseconds: "prompt" of PROMPT tokens into an empty cache, "decode" of each of N tokens behind DEPTH others.
Tokens are fixed and none is sampled.
"""

import ctypes
import json
import math
import sys
import time
from pathlib import Path


def bf16_tensors(folder):
    """Names, shapes and the words of every tensor, one at a time; the file is mapped."""
    import numpy as np

    for path in sorted(Path(folder).glob("*.safetensors")):
        data = np.memmap(path, mode="r")
        length = int.from_bytes(data[:8].tobytes(), "little")
        for name, entry in json.loads(data[8 : 8 + length].tobytes()).items():
            if name == "__metadata__":
                continue
            if entry["dtype"] != "BF16":
                raise SystemExit(f"{name}: expected BF16, got {entry['dtype']}")
            start, end = entry["data_offsets"]
            yield name, data[8 + length + start : 8 + length + end].view(np.uint16).reshape(entry["shape"])


def llama3_factors(config, head_size):
    """What llama.cpp divides the frequencies by (its rope_freqs), as transformers scales them; None without such scaling."""
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") != "llama3":
        return None
    low = scaling["original_max_position_embeddings"] / scaling["low_freq_factor"]
    high = scaling["original_max_position_embeddings"] / scaling["high_freq_factor"]
    factors = []
    for i in range(0, head_size, 2):
        wave = 2 * math.pi * config["rope_theta"] ** (i / head_size)
        if wave < high:
            factors.append(1.0)
        elif wave > low:
            factors.append(scaling["factor"])
        else:
            smooth = (scaling["original_max_position_embeddings"] / wave - scaling["low_freq_factor"]) / (
                scaling["high_freq_factor"] - scaling["low_freq_factor"]
            )
            factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return factors


NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    name = name.removesuffix(".weight")
    if not name.startswith("model.layers."):
        return f"{NAMES[name]}.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}.weight"


def write_gguf(folder, out):
    import gguf
    import numpy as np

    config = json.loads((Path(folder) / "config.json").read_text())
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    kv_heads, vocab = config.get("num_key_value_heads", heads), config["vocab_size"]
    head_size = config.get("head_dim") or hidden // heads
    writer = gguf.GGUFWriter(out, "llama", use_temp_file=False)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta", 10000.0))
    writer.add_rope_dimension_count(head_size)
    writer.add_vocab_size(vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    # A tokenizer that nobody uses: a token of its own for every id.
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([f"t{i}" for i in range(vocab)])
    writer.add_token_types([gguf.TokenType.NORMAL] * vocab)
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    factors = llama3_factors(config, head_size)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    for name, words in bf16_tensors(folder):
        to = gguf_name(name)
        if to == "output.weight" and config.get("tie_word_embeddings"):
            continue
        if words.ndim == 1:
            writer.add_tensor(to, (words.astype(np.uint32) << 16).view(np.float32))
            continue
        if to.endswith(("attn_q.weight", "attn_k.weight")):
            # llama.cpp turns neighbours, transformers halves: the rows of a head are put in that order.
            count = heads if to.endswith("attn_q.weight") else kv_heads
            halves = words.reshape(count, 2, head_size // 2, hidden)
            words = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(words.shape)
        writer.add_tensor(to, words.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source, out, kind, threads):
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    parameters.nthread = threads
    status = llama_cpp.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(parameters))
    if status != 0:
        raise SystemExit(f"llama_model_quantize: status {status}")


class Model:
    """A model with a context for each of flash attention off and on."""

    def __init__(self, path, threads, depth, count, prompt):
        import llama_cpp

        self.llama = llama_cpp
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"{path} cannot be loaded")
        vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.ids = [(i * 7919 + 13) % vocab for i in range(max(prompt, depth + count))]
        self.depth, self.count, self.prompt = depth, count, prompt
        self.contexts = []
        for flash in (0, 1):
            parameters = llama_cpp.llama_context_default_params()
            parameters.n_ctx = 1024
            parameters.n_batch = parameters.n_ubatch = 512
            parameters.n_threads = parameters.n_threads_batch = threads
            parameters.flash_attn_type = flash
            context = llama_cpp.llama_init_from_model(self.model, parameters)
            if not context:
                raise SystemExit(f"{path}: no context with flash attention {flash}")
            self.contexts.append(context)

    def decode(self, context, ids):
        tokens = (self.llama.llama_token * len(ids))(*ids)
        batch = self.llama.llama_batch_get_one(tokens, len(ids))
        if self.llama.llama_decode(context, batch) != 0:
            raise SystemExit("llama_decode failed")
        self.llama.llama_synchronize(context)

    def measure(self, flash, test):
        context = self.contexts[flash]
        self.llama.llama_memory_clear(self.llama.llama_get_memory(context), True)
        if test == "prompt":
            start = time.perf_counter()
            self.decode(context, self.ids[: self.prompt])
            return 1000 * (time.perf_counter() - start)
        self.decode(context, self.ids[: self.depth])
        start = time.perf_counter()
        for token in self.ids[self.depth : self.depth + self.count]:
            self.decode(context, [token])
        return 1000 * (time.perf_counter() - start) / self.count


def serve(threads, depth, count, prompt, paths):
    import llama_cpp

    models = [Model(path, threads, depth, count, prompt) for path in paths]
    system = llama_cpp.llama_print_system_info().decode()
    print(json.dumps({"version": llama_cpp.__version__, "system": system}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(models[asked["model"]].measure(asked["flash"], asked["test"])), flush=True)


def main():
    command, *rest = sys.argv[1:]
    if command == "gguf":
        write_gguf(*rest)
    elif command == "quantize":
        quantize(*rest[:3], threads=int(rest[3]))
    else:
        threads, depth, count, prompt = map(int, rest[:4])
        serve(threads, depth, count, prompt, rest[4:])


main()
