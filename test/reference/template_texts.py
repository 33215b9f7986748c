#!/usr/bin/env python3
"""What transformers makes of the conversations of template_conversations.py through the small templates of templates/:
template_texts.golden.json. They are written for these tests, in the manner of published ones.

A date is that of NOW. A null is a refusal; where a template prints content parts as Python does, `joined` is what it makes of their texts.
"""
import json, pathlib

import jinja2, transformers

import prove_templates

HERE = pathlib.Path(__file__).parent


def main():
    prove_templates.freeze()
    reference = prove_templates.tokenizer()
    cases = []
    for name, template in prove_templates.templates([HERE / "templates"]).items():
        for conversation, options in prove_templates.cases():
            text, isJoined = prove_templates.expected(reference, template, prove_templates.CONVERSATIONS[conversation], options)
            cases.append({"template": name, "conversation": conversation, "options": options, "text": text, **({"joined": True} if isJoined else {})})
    made = f"transformers {transformers.__version__}, Jinja2 {jinja2.__version__}"
    file = {"madeBy": made, "now": prove_templates.milliseconds(), "tokens": prove_templates.TOKENS, "conversations": {k: json.dumps(v, ensure_ascii=False) for k, v in prove_templates.CONVERSATIONS.items()}, "cases": [{**case, "options": json.dumps(case["options"])} for case in cases]}
    out = HERE / "template_texts.golden.json"
    out.write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(out, out.stat().st_size, len(cases), sum(case["text"] is None for case in cases))


main()
