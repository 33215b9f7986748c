"""Conversations and options that chat templates are compared on (prove_templates.py, chat_templates_small.py)."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a place <b>now</b>: \"quoted\", 日本 & more",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city"},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                "days": {"type": "integer", "minimum": 1, "maximum": 10.0},
            },
            "required": ["city"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}}


def call(arguments, id="abcde1234", name="get_weather"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


U, A, S = ({"role": role} for role in ("user", "assistant", "system"))
HI = [{**U, "content": "Hello"}]
TURNS = [
    {**U, "content": "What is 2 + 2?"},
    {**A, "content": "4"},
    {**U, "content": "And 3 + 3?"},
    {**A, "content": "6, of course."},
    {**U, "content": "Thanks!"},
]
CALLS = [
    {**U, "content": "Weather in Oslo?"},
    {**A, "content": None, "tool_calls": [call({"city": "Oslo", "days": 2, "exact": 1.0, "tags": ["a", None, True], "2": "b", "1": "a"})]},
    {"role": "tool", "tool_call_id": "abcde1234", "name": "get_weather", "content": "{\"temp\": -3.5}"},
    {**A, "content": "It is -3.5 degrees."},
    {**U, "content": "And in Rome?"},
]

CONVERSATIONS = {
    "hello": HI,
    "system": [{**S, "content": "You are brief."}, *HI],
    "empty system": [{**S, "content": ""}, *HI],
    "turns": TURNS,
    "system and turns": [{**S, "content": "  Be kind.\n"}, *TURNS],
    "ends with answer": TURNS[:2],
    "spaces": [{**U, "content": "  \n leading and trailing \t\n"}, {**A, "content": "\n\nYes. \n"}, {**U, "content": " ok "}],
    "empty content": [{**U, "content": ""}, {**A, "content": ""}, {**U, "content": "?"}],
    "code": [
        {**U, "content": "    if x < 1 && y > 2:\n\t{{ not.jinja }} {% nor this %} {# nor this #}\r\n'single' \"double\" \\ back"},
        {**A, "content": "```python\nprint(\"<b>\")\n```\n"},
        {**U, "content": "&amp; </s> <think> [INST] ok"},
    ],
    "scripts": [{**U, "content": "日本語 👩‍👧 é \u00a0\ufeff\u200b 😀x"}, {**A, "content": "😀"}, {**U, "content": "ß ﬁ İ"}],
    "CRLF": [{**U, "content": "a\r\nb\rc\r\n"}],
    "reasoning": [
        {**U, "content": "Why?"},
        {**A, "content": "Because.", "reasoning_content": "Hmm.\nLet me think."},
        {**U, "content": "Really?"},
    ],
    "thinking in content": [
        {**U, "content": "code?"},
        {**A, "content": "<think>\nhmm\n</think>\n\n    x = 1\n"},
        {**U, "content": "and?"},
    ],
    "old names of reasoning": [{**U, "content": "Why?"}, {**A, "content": "So.", "thinking": "Hm.", "reasoning": "Other."}, {**U, "content": "?"}],
    "calls": CALLS,
    "arguments as text": [*CALLS[:1], {**A, "content": "", "tool_calls": [call('{"city": "Oslo"}')]}, *CALLS[2:]],
    "two calls": [
        *CALLS[:1],
        {**A, "content": "Both.", "tool_calls": [call({"city": "Oslo"}), call({"city": "Rome"}, "fghij5678")]},
        {"role": "tool", "tool_call_id": "abcde1234", "content": "cold"},
        {"role": "tool", "tool_call_id": "fghij5678", "content": "warm"},
    ],
    "waits for a tool": CALLS[:3],
    "parts": [{**U, "content": [{"type": "text", "text": "First <a>"}, {"type": "text", "text": "second 'b'"}]}],
    "parts everywhere": [
        {**S, "content": [{"type": "text", "text": "Be brief."}]},
        {**U, "content": [{"type": "text", "text": "Hi"}]},
        {**A, "content": [{"type": "text", "text": "Ho"}]},
        {**U, "content": "plain"},
    ],
    "null content": [{**U, "content": "Hi"}, {**A, "content": None, "name": None, "refusal": None}, {**U, "content": "?"}],
    "other fields": [{**U, "content": "Hi", "name": "ann", "weight": 1.0, "big": 12345678901234567890, "deep": {"a": [1.5, 1e-7, 1e22]}}],
    "developer": [{"role": "developer", "content": "Be brief."}, *HI],
    "odd role": [{"role": "critic", "content": "Hm"}, *HI],
    "assistant first": [{**A, "content": "Welcome."}, *HI],
    "two users": [*HI, *HI],
}

# What is given beside the messages, and the conversations that it is given with.
ALL = tuple(CONVERSATIONS)
OPTIONS = [
    ({"add_generation_prompt": True}, ALL),
    ({"add_generation_prompt": False}, ALL),
    ({"add_generation_prompt": True, "tools": [WEATHER, CLOCK]}, ("hello", "system", "calls", "arguments as text", "two calls", "waits for a tool", "turns")),
    ({"add_generation_prompt": False, "tools": []}, ("hello", "system", "calls")),
    ({"add_generation_prompt": True, "chat_template_kwargs": {"enable_thinking": True}}, ("hello", "reasoning", "turns", "thinking in content")),
    ({"add_generation_prompt": True, "chat_template_kwargs": {"enable_thinking": False}}, ("hello", "reasoning", "turns", "thinking in content")),
    ({"add_generation_prompt": True, "chat_template_kwargs": {"thinking": True, "reasoning_effort": "low", "keep_past_thinking": True}}, ("hello", "reasoning", "turns")),
    (
        {"add_generation_prompt": True, "chat_template_kwargs": {"date_string": "01 Jan 2025", "custom_tools": [CLOCK], "builtin_tools": ["brave_search"], "x": 1.0}},
        ("hello", "system", "calls"),
    ),
    (
        {"add_generation_prompt": True, "documents": [{"title": "T", "text": "One."}, {"title": "U", "text": "Two\n\"q\""}]},
        ("hello", "turns"),
    ),
    ({"continue_final_message": True}, ("ends with answer", "spaces", "hello", "thinking in content", "null content", "parts", "two calls")),
    ({"continue_final_message": "reasoning_content"}, ("ends with answer", "reasoning")),
]
CONTINUED = {
    "ends with spaces": [{**U, "content": "Go on"}, {**A, "content": "One, two, \n"}],
    "ends with parts": [{**U, "content": "Go on"}, {**A, "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two "}]}],
    "ends with reasoning": [{**U, "content": "Go on"}, {**A, "content": "", "reasoning_content": "Let me"}],
    "ends with nothing": [{**U, "content": "Go on"}, {**A, "content": None}],
    "ends with empty": [{**U, "content": "Go on"}, {**A, "content": ""}],
}
CONVERSATIONS.update(CONTINUED)
OPTIONS.append(({"continue_final_message": True}, tuple(CONTINUED)))
OPTIONS.append(({"continue_final_message": "reasoning_content"}, tuple(CONTINUED)))


def cases():
    for options, names in OPTIONS:
        for name in names:
            yield name, options
