"""What tokenizers' Split makes of patterns: split_patterns.golden.json, read by test/unit/tokenizer/split-patterns.test.ts.

    pip install tokenizers==0.23.3
    python3 test/reference/split_patterns.py             # writes the golden file
    python3 test/reference/split_patterns.py --prove N   # compares N generated patterns with the built project (dist)

A case is [pattern, behavior, invert, [[text, pieces], …]]; null in place of the list where tokenizers refuses the pattern. Published
patterns and every construct come first, then generated ones.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

ROOT = Path(__file__).parents[2]
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
NAMES = dict(zip(BEHAVIORS, ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]))

PUBLISHED = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[一-龥\u3040-ゟ゠-ヿ]+", r"\p{N}{1,3}", r" ?[^(\s|[.,!?…。，、।۔،])]+", "[0-9][0-9][0-9]", r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+",
    r"[^\s]+|\s+", r"\d", r"\s+$", "a.+", r"\w+|[^\w\s]+", r"\p{N}", "\\n", r"[\r\n]", r"\s?\p{L}+", r"(?=(\d{3})+(?!\d))", r"\d{1,3}(?=(?:\d{3})*\b)",
]
CONSTRUCTS = r"""
^|^a|a$|$|\A.|.\z|a\Z|\Z|\bx|\b|\B|.|(?m).|(?m:a.b)|(?m-i:.)|\N|\O|\R|\h|\H|\w|\W|[\w]|[\W]|[^\w]|\d|\D|\s|\S|\p{Word}|\p{^Word}|\P{^L}|\P{L}|\p{^L}
\p{l}|\p{Letter}|\p{Uppercase_Letter}|\p{uppercase letter}|\p{Lu}|\p{LC}|\p{Cn}|\p{Han}|\p{Hiragana}|\p{Cyrillic}|\p{Punct}|\p{Alnum}|\p{Any}|\p{Alphabetic}|\p{Foo}|\p{Script=Han}|\pL|\p{Hani}|\p{Emoji}
[[:alpha:]]|[[:punct:]]+|[[:^punct:]]|[[:word:]]|[[:upper:]x]|[[:graph:]]|[[:print:]]|[[:cntrl:]]|[[:blank:]]|[[:xdigit:]]|[[:alnum:]]|[[:space:]]|[[:digit:]]|[[:foo:]]|[[:ascii:]]
[a-w&&[^c-g]z]|[^a&&b]|[a&&]|[[a]b]|[a[^b]]|[^[^a]]|[a-c-]|[-a]|[]a]|[a-\d]|[\d-a]|[a-]|[\b]|[\-\]]|[\n-\r]|[^\n]|[\x41-\x{43}]|[^\p{L}\p{N}]|[\p{^L}]|[.]|[$^]|[(?i)]|[a\]b]
a++b|a*+a|a?+a|(?>a+)a|(?>a|ab)c|a{2}|a{2}?|a{2}+|a{,2}|a{1,}|a{1,2}?|a{1,2}+|a{2,1}|a{|{|a{x}|a{,}|{2}|a**|a+?|a??|a+*|(?:a|b)+|(?:|a)+|(?:a?)*|(?:a*){2}|(a|b)*c
(?i)ab|(?i:s)|(?i:k)|(?i:[ks])|(?i:[^s])|(?i:ss)|(?i:st)|(?i:é)|(?i:\p{Lu})|(?i:[\p{Lu}])|a(?i)b|c|(?i)a(?-i)b|(?-i:a)|(?i:'ll|'re)|(?i:fi)|(?i:漢)|(?i:—a)|(?i:[a-z]+)|(?i:i)|(?i:\w+)|(?i:s{2})|(?i:(?:s)(?:s))
(?x) a b # c|(?x: a\ b)|(?x)a +|(?x)[ a]|(?#c)a|a(?#c)+|(?<n>a)|(?<n>a)\k<n>|(a)\1|(?~ab)|(?<=a)b|(?<!a)b|(?<=a|bc)d|(?<=^)a|a(?=b)|a(?!b)|(?=a)*|\K|\G|\X|\y|(?P<n>a)|(?s).|(?u)a|(?W:a)|(?y{g}:a)|(?{x})|(*FAIL)|(?(1)a|b)
\t|\n|\r|\f|\v|\a|\e|\x41|\x{6f22}|\x{41 42}|\xe9|\u6f22|\u00e9|\012|\0|\cA|\C-a|\M-a|\q|\-|\_|\é|\/|\#|\ |\'|\"|\%|\o{101}|]|}|-|/|&&|#|,|é|😀|\😀|(|)|[|a|b||c|\
"""

ATOMS = ["a", "b", "s", "k", "é", "漢", "😀", " ", "'", ".", "^", "$", "\\b", "\\B", "\\s", "\\S", "\\w", "\\W", "\\d", "\\D", "\\h", "\\R", "\\N", "\\A", "\\z", "\\Z",
         "\\p{L}", "\\p{Lu}", "\\P{L}", "\\p{^N}", "\\p{N}", "\\p{P}", "\\p{M}", "\\p{Han}", "\\n", "\\r", "\\t", "\\x41", "\\.", "[ab]", "[^a]", "[a-k]", "[\\s\\d]", "[^\\w]", "[[:alpha:]]", "[\\p{L}&&[^a-k]]",
         "[^\\r\\n\\p{L}]", "(?:ab|a)", "(a|b)", "(?=a)", "(?!b)", "(?<=a)", "(?<!\\s)", "(?>a+|b)", "(?i:s)", "(?i:ab)", "(?m:.)", "[a-w&&[^c-g]]", "1", "-", "{", "/"]
QUANTIFIERS = ["", "", "", "", "*", "+", "?", "+?", "*?", "??", "++", "*+", "?+", "{2}", "{1,3}", "{2,}", "{,2}", "{2}?", "{1,2}+", "{1,2}?"]
UNITS = ["a", "b", "ab", "s", "S", "k", "K", "\u212a", "ſ", "é", "e\u0301", "É", "漢", "字", "😀", " ", "  ", "\n", "\r", "\r\n", "\t", "\u0085", "\u2028", "\u2029", "\u00a0", "\ufeff", "\u200d", "1", "22", "٣", "½", "²", "Ⅷ", "_", ".", ",", "-", "'", "'s", "{", "}", "$", "^", "+", "A", "B", "z", "ß", "ﬁ", "\x00", "\x0b", "\u0345", "ʰ", "ǅ", "/", "x"]


def split(text, pattern, behavior, invert):
    try:
        return [piece for piece, _ in pre_tokenizers.Split(pattern, NAMES[behavior], invert=invert).pre_tokenize_str(text)]
    except BaseException:  # a panic: Oniguruma gives up after ten million steps
        return None


def compiled(pattern):
    try:
        return Regex(pattern)
    except Exception:
        return None


def text_of(rnd):
    return "".join(rnd.choice(UNITS) for _ in range(rnd.randint(0, 14)))


def sequence(rnd, depth):
    parts = []
    for _ in range(rnd.randint(1, 4)):
        atom = rnd.choice(ATOMS)
        if depth and rnd.random() < 0.3:
            atom = rnd.choice(["(?:%s)", "(%s)", "(?i:%s)", "(?=%s)", "(?!%s)", "(?>%s)", "(?m:%s)", "(?<n>%s)"]) % alternatives(rnd, depth - 1)
        parts.append(atom + rnd.choice(QUANTIFIERS))
    return "".join(parts)


def alternatives(rnd, depth):
    return "|".join(sequence(rnd, depth) for _ in range(rnd.choice([1, 1, 2, 3])))


def cases(rnd, generated, texts):
    listed = [(pattern, "Isolated", False) for pattern in PUBLISHED + constructs()]
    listed += [(pattern, behavior, invert) for pattern in [r"\s", r"\p{N}+", r"a|\n", r"b?"] for behavior in BEHAVIORS for invert in (False, True)]
    listed += [(alternatives(rnd, 2), rnd.choice(BEHAVIORS) if rnd.random() < 0.2 else "Isolated", rnd.random() < 0.5) for _ in range(generated)]
    for pattern, behavior, invert in listed:
        regex = compiled(pattern)
        if regex is None:
            yield [pattern, behavior, invert, None]
            continue
        some = [text_of(rnd) for _ in range(texts)]
        pieces = [[text, split(text, regex, behavior, invert)] for text in some]
        yield [pattern, behavior, invert, [case for case in pieces if case[1] is not None]]


def constructs():
    """Lines of patterns with | between them, but where they use it themselves."""
    lists = [line.split("|") for line in CONSTRUCTS.strip().split("\n")]
    own = ["(?>a|ab)c", "(?:a|b)+", "(?:|a)+", "(a|b)*c", "a(?i)b|c", "(?i:'ll|'re)", "(?<=a|bc)d", "(?(1)a|b)", "a|b", "a||c"]
    return sorted({pattern for line in lists for pattern in line if pattern} | set(own))


def prove(count):
    """Compares with dist: pieces must be the same, or the pattern refused."""
    script = """
import { createInterface } from "node:readline";
import { compileSplitPattern } from "./dist/tokenizer/split-pattern.js";
import { splitInto } from "./dist/tokenizer/split-behavior.js";
for await (const line of createInterface({ input: process.stdin })) {
  const [pattern, behavior, invert, texts] = JSON.parse(line);
  try {
    const compiled = compileSplitPattern(pattern, "");
    console.log(JSON.stringify((texts ?? []).map(([text]) => [...splitInto(behavior, compiled, text, invert)])));
  } catch (error) {
    console.log(JSON.stringify(error.code === "ERR_TOKENIZER_INVALID" ? error.message : { fault: error.stack }));
  }
}"""
    rnd = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    listed = list(cases(rnd, count, 12))
    text = "".join(json.dumps(case) + "\n" for case in listed)
    out = subprocess.run(["node", "--input-type=module", "-e", script], input=text, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    refused = differences = loose = 0
    reasons = {}
    for (pattern, behavior, invert, texts), line in zip(listed, out.rstrip("\n").split("\n"), strict=True):
        got = json.loads(line)
        if isinstance(got, dict):
            sys.exit(f"{pattern}: {got['fault']}")
        if isinstance(got, str):
            refused += texts is not None
            reason = got.split("the pattern ")[1].split(" this version")[0]
            reasons[reason] = reasons.get(reason, 0) + (texts is not None)
        elif texts is None:
            loose += 1
            if "-v" in sys.argv: print("loose", repr(pattern))
        else:
            for (text, pieces), mine in zip(texts, got):
                if pieces != mine:
                    differences += 1
                    if differences <= 10:
                        print(f"{pattern!r} {behavior} {invert} {text!r}\n  expected {pieces}\n  got      {mine}")
                    break
    print(f"{len(listed)} patterns: {differences} differ, {refused} refused by name, {loose} taken that tokenizers refuses")
    for reason, number in sorted(reasons.items(), key=lambda r: -r[1])[:25]:
        print(f"  {number} {reason}")
    sys.exit(1 if differences else 0)


if "--prove" in sys.argv:
    prove(int(sys.argv[2]))
rnd = random.Random(10)
out = ROOT / "test/reference/split_patterns.golden.json"
listed = list(cases(rnd, 300, 6))
out.write_text("[\n" + ",\n".join(json.dumps(case) for case in listed) + "\n]\n")
print(out, len(listed))
