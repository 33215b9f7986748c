#!/usr/bin/env python3
"""Compares what quipu makes of conversations through published chat templates with transformers and Jinja2.

    prove_templates.py FOLDER…      *.jinja and tokenizer_config.json, at any depth

Every template meets every conversation of template_conversations.py. A rendering agrees if the texts are equal, or both refuse. Tools, calls
and documents that a template does not read are to be refused, where transformers leaves them out without a word. Where a
template prints a list of content parts as Python does, leaves their texts out or fails on them, quipu gives it one text, with newlines between
the parts (src/tokenizer/chat-template.ts): there that is what is compared.
"""
import datetime, json, os, pathlib, re, subprocess, sys, time

import jinja2, tokenizers, transformers
from transformers.utils import chat_template_utils

from template_conversations import CONVERSATIONS, cases

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = datetime.datetime(2025, 3, 7, 4, 5, 9)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def templates(folders):
    found = {}
    for folder in map(pathlib.Path, folders):
        for path in sorted([*folder.rglob("*.jinja"), *folder.rglob("tokenizer_config.json")]):
            name = str(path.relative_to(folder))
            if path.suffix == ".jinja":
                with open(path, encoding="utf-8") as file:  # as transformers reads it
                    found[name] = file.read()
                continue
            value = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
            named = {"": value} if isinstance(value, str) else {t["name"]: t["template"] for t in value or []}
            found.update({f"{name}:{key}".rstrip(":"): text for key, text in named.items()})
    unique = {}
    for name, text in found.items():
        unique.setdefault(text, name)
    return {name: text for text, name in unique.items()}


def tokenizer():
    model = tokenizers.models.WordLevel({token: i for i, token in enumerate(TOKENS.values())}, unk_token="<unk>")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(model), **TOKENS)


def joined(message):
    return {**message, "content": "\n".join(part["text"] for part in message["content"])}


def leaves_out(template, messages, options):
    """Whether the template does not read something that is given: transformers leaves it out without a word, quipu refuses."""
    given = {
        "tools": options.get("tools"),
        "documents": options.get("documents"),
        "tool_calls": [call for message in messages for call in message.get("tool_calls") or []],
    }
    return any(value and not re.search(rf"\b{name}\b", template) for name, value in given.items())


def expected(reference, template, messages, options):
    """A text, or None where it is refused; and whether parts were joined for it."""
    if leaves_out(template, messages, options):
        return None, False
    render = lambda messages: reference.apply_chat_template(
        messages,
        chat_template=template,
        tokenize=False,
        tools=options.get("tools"),
        documents=options.get("documents"),
        add_generation_prompt=options.get("add_generation_prompt", False),
        continue_final_message=options.get("continue_final_message", False),
        **options.get("chat_template_kwargs", {}),
    )
    lists = [i for i, message in enumerate(messages) if isinstance(message.get("content"), list)]
    try:
        text = render(messages)
        spoils = lambda part: str(part) in text or part["text"].strip() not in text
        lists = [i for i in lists if any(map(spoils, messages[i]["content"]))]
        if not lists:
            return text, False
    except Exception:
        if not lists:
            return None, False
    try:
        return render([joined(message) if i in lists else message for i, message in enumerate(messages)]), True
    except Exception:
        return None, True


def freeze():
    """Both sides render at the same time."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    chat_template_utils.datetime = Clock


def milliseconds():
    return int(NOW.timestamp() * 1000)


def request(case):
    """As OpenAI and vLLM write it."""
    return json.dumps({**case["options"], "messages": CONVERSATIONS[case["conversation"]]}, ensure_ascii=False)


def main():
    freeze()
    reference = tokenizer()
    sources = templates(sys.argv[1:])
    wanted = []
    for name, template in sources.items():
        for conversation, options in cases():
            text, isJoined = expected(reference, template, CONVERSATIONS[conversation], options)
            wanted.append({"template": name, "conversation": conversation, "options": options, "text": text, "joined": isJoined})
    requests = [{"template": case["template"], "request": request(case)} for case in wanted]
    input = json.dumps({"now": milliseconds(), "tokens": TOKENS, "sources": sources, "requests": requests})
    begin = time.monotonic()
    got = json.loads(
        subprocess.run(
            ["node", ROOT / "test/reference/render_templates.js"], input=input, capture_output=True, text=True, check=True, encoding="utf-8",
            env={**os.environ, "TZ": "UTC"},
        ).stdout
    )
    seconds = time.monotonic() - begin
    equal = refused = both = unmarked = 0
    for case, mine in zip(wanted, got, strict=True):
        if "unmarked" in mine:
            unmarked += 1
            print(f"\n{case['template']}, {case['conversation']}: {mine['unmarked']}")
        if case["text"] is None and "error" in mine:
            both += 1
        elif case["text"] == mine.get("text"):
            equal += 1
        else:
            refused += 1
            print(f"\n{case['template']}, {case['conversation']}, {json.dumps(case['options'])[:120]}{' (parts joined)' if case['joined'] else ''}")
            print(f"  transformers: {case['text']!r}"[:2000])
            print(f"  quipu:        {mine.get('text', mine.get('error'))!r}"[:2000])
    total = len(wanted)
    left = sum(leaves_out(sources[case["template"]], CONVERSATIONS[case["conversation"]], case["options"]) for case in wanted)
    print(f"{len(sources)} templates, {total} renderings, in {seconds:.1f} s; transformers {transformers.__version__}, Jinja2 {jinja2.__version__}")
    print(f"{equal + both} of {total} agree: {equal} of {total - both - sum(c['text'] is None and 'error' not in g for c, g in zip(wanted, got))} texts are equal, {both - left} are refused by both, {left} by quipu as something would be left out; parts were joined in {sum(case['joined'] for case in wanted)}")
    print(f"{equal - unmarked} of {equal} texts are the same with the control tokens in messages marked")
    sys.exit(0 if equal + both == total and unmarked == 0 else 1)


if __name__ == "__main__":
    main()
