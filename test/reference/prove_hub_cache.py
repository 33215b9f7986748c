"""The hub's cache as quipu and as huggingface_hub keep it: each finds what the other has fetched, and waits for the other's locks.

scripts/prove-hub-cache.sh runs it. Ends with an error at the first difference.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPO = "org/storyteller"

hub = subprocess.Popen(["node", ROOT / "test/reference/serve_hub.js"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
os.environ["HF_ENDPOINT"] = hub.stdout.readline().strip()
os.environ["HF_HOME"] = tempfile.mkdtemp()
for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"):
    os.environ.pop(name, None)

import filelock  # noqa: E402  (reads the environment)
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402

QUIPU = ["node", ROOT / "bin/quipu.js"]
STORY = ["-m", REPO, "Once upon a time", "-n", "8", "-s", "3"]


def quipu(*args):
    done = subprocess.run([*QUIPU, *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"quipu {' '.join(map(str, args))}: {done.stderr}")
    return done


def check(what, is_so):
    if not is_so:
        sys.exit(f"not so: {what}")
    print(f"ok: {what}")


def links(cache):
    """Every file and link, without what either keeps beside the common layout."""
    own = {".locks", ".quipu", "trees"}
    paths = [path for path in Path(cache).rglob("*") if not own & set(path.relative_to(cache).parts)]
    return {
        str(path.relative_to(cache)): os.readlink(path) if path.is_symlink() else path.stat().st_size
        for path in paths
        if path.name != "CACHEDIR.TAG" and (path.is_symlink() or path.is_file())
    }


theirs, ours = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
expected = snapshot_download(REPO, cache_dir=theirs)
os.environ["HF_HUB_CACHE"] = str(ours)
quipu("pull", REPO, "--include", "*")
check("both lay a repository out alike", links(theirs) == links(ours))
found = snapshot_download(REPO, cache_dir=ours, local_files_only=True)
check("huggingface_hub finds what quipu has fetched", Path(found).name == Path(expected).name)
(repo,) = scan_cache_dir(ours).repos
check("and counts it", repo.nb_files == len(os.listdir(found)) and not scan_cache_dir(ours).warnings)

os.environ["HF_HUB_CACHE"] = str(theirs)
os.environ["HF_HUB_OFFLINE"] = "1"
story = quipu(*STORY).stdout
check("quipu loads what huggingface_hub has fetched", story == subprocess.run([*QUIPU, *STORY[2:]], capture_output=True, text=True).stdout)
check("and has nothing to fetch", quipu("pull", REPO, "--quiet").stdout.strip() == expected)
check("and lists it", f"{REPO}  main" in quipu("models").stdout)
commit = Path(expected).name
check("its list of a commit is enough", quipu("pull", f"{REPO}@{commit}", "--quiet").stdout.strip() == expected)
del os.environ["HF_HUB_OFFLINE"]

os.environ["HF_HUB_CACHE"] = str(Path(tempfile.mkdtemp()))
blob = os.path.basename(os.readlink(Path(expected) / "model.safetensors"))
locks = Path(os.environ["HF_HUB_CACHE"]) / ".locks" / "models--org--storyteller"
locks.mkdir(parents=True)
with filelock.FileLock(locks / f"{blob}.lock"):
    waiting = subprocess.Popen([*QUIPU, "pull", REPO], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in waiting.stderr:
        if "another process is fetching it" in line:
            break
    check("quipu waits for huggingface_hub's lock", waiting.poll() is None)
check("and goes on when it is free", waiting.wait() == 0)

holder = f"""
import {{ tryLock }} from "{ROOT}/dist/machine/file-lock.js";
const lock = tryLock("{locks}/x.lock");
console.log(typeof lock);
process.stdin.resume().on("end", () => process.exit());
"""
held = subprocess.Popen(["node", "--input-type=module", "-e", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
check("quipu takes a lock", held.stdout.readline().strip() == "object")
try:
    filelock.FileLock(locks / "x.lock", timeout=0).acquire()
    check("huggingface_hub waits for quipu's lock", False)
except filelock.Timeout:
    check("huggingface_hub waits for quipu's lock", True)
held.kill()
held.wait()
with filelock.FileLock(locks / "x.lock", timeout=0):
    check("and has it when quipu is killed", True)
hub.stdin.close()
hub.wait()
