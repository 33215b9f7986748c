"""Makes jinja.golden.json: what Jinja2 under transformers' environment makes of templates, for test/unit/jinja/golden.test.ts.

    python jinja.py

By theme, over fuzz_jinja's context; and a sample of its generated templates. An error has its class and, where Python knows it, its line.
"""

import hashlib
import json
import pathlib
import random
import re
import sys
import textwrap
import warnings

import fuzz_jinja
import jinja2
import transformers

THEMES = {
    "printing": """
{{ true }} {{ false }} {{ none }} {{ 1 }} {{ 1.0 }} {{ -0.0 }} {{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e100 }} {{ 123456789.123 }}
{{ [1, 'a', "it's", 'q"', none, true, 1.5, (1,), (), {}] }}
{{ {'a': [1, {'b': none}], 1: 'x', none: 2, 2.5: 3, (1, 2): 4} }}
{{ 'tab\\t nl\\n nul\\x00 del\\x7f nbsp\\xa0 é 😀 \\u2028'|list }}
{{ range(5) }} {{ range(1, 9, 2) }} {{ d.keys() }} {{ d.items() }} {{ ed.values() }}
{{ namespace(a=1, b='x') }} {{ u }} [{{ [u] }}] {{ xs.index }}
{{ [s|safe, 'a'|e] }} {{ 10 ** 30 }} {{ 12345678901234567890 }}
{% macro m(a) %}{% endmacro %}{{ m }} {{ m.name }} {{ m.arguments }} {{ m.catch_kwargs }}
{% for x in [1] %}{{ loop }}{% endfor %}
{{ q }} {{ [q] }}
""",
    "numbers": """
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 100 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 1.0 // 0 }}
{{ big * big }} {{ big // 7 }} {{ big % 7 }} {{ -big // 7 }} {{ big / 3 }} {{ big + 0.5 }} {{ big == big + 0.0 }}
{{ true + true }} {{ true * 3 }} {{ -true }} {{ not 1 }} {{ 1 == true }} {{ 1 == 1.0 }} {{ '' != false }} {{ 0 == false }} {{ none == u }} {{ '1' == 1 }}
{{ 9007199254740993 == 9007199254740992.0 }} {{ 9007199254740993 + 1 }} {{ 9007199254740991 * 3 }}
{{ 2.675|round(2) }} {{ 0.5|round }} {{ 1.5|round }} {{ 2.5|round }} {{ 1234|round(-2) }} {{ 1250|round(-2) }} {{ 2.123|round(2, 'ceil') }} {{ 2.129|round(2, 'floor') }} {{ 42.55|round(1, 'floor') }}
{{ '42'|int }} {{ '42.9'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '0x1f'|int(0, 16) }} {{ '0b11'|int(0, 0) }} {{ ' 12_3 '|int }} {{ none|int }} {{ 3.99|int }} {{ true|int }} {{ '1e3'|int }} {{ [1]|int }}
{{ '1.5'|float }} {{ 'inf'|float }} {{ 'nan'|float }} {{ 'x'|float }} {{ 'x'|float(2) }} {{ 3|float }} {{ '1_0.5'|float }} {{ '٣'|int }}
{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1_0.5e1_0 }} {{ 1e3 }} {{ -5|abs }} {{ 5.0|abs }}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 < 'a' }}
{{ 1 if 0.0 else 2 }} {{ 1 if 'a' and [] else 2 }} {{ 0 or '' or 'x' }} {{ 1 and 2 }}
{{ 1000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ 1|filesizeformat }} {{ 1500000|filesizeformat }} {{ 10 ** 30 |filesizeformat }}
{{ [1, 2.5, true]|sum }} {{ users|sum('age') }} {{ [[1], [2]]|sum(start=[]) }} {{ [1, 2]|max }} {{ ['b', 'A']|min }} {{ []|max }} {{ users|max(attribute='age') }}
{{ 5 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 1.5 is number }} {{ true is number }} {{ true is integer }} {{ 1.0 is float }} {{ none is none }}
""",
    "strings": """
{{ '  x '.strip() }}| {{ 'xxaxx'.strip('x') }} {{ 'abcba'.lstrip('ab') }} {{ 'abcba'.rstrip('ab') }} {{ '\\ufeffa\\x1c\\x85'.strip()|list }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ ' a  b c '.split(none, 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'abc'.split('') }}
{{ 'a\\nb\\r\\nc\\x0bd\\x1ce\\u2028f\\n'.splitlines() }} {{ 'a\\n\\nb'.splitlines(true) }} {{ ''.splitlines() }}
{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }}
{{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'hello'.find('l', 3) }} {{ 'hello'.find('z') }} {{ 'h😀llo'.find('l') }} {{ 'hello'.index('o') }} {{ 'hello'.count('l') }} {{ 'aaa'.count('') }}
{{ 'hello'.index('z') }}
{{ 'aXbXc'.replace('X', '-', 1) }} {{ 'abc'.replace('', '.') }} {{ 'abc'.replace('', '.', 2) }} {{ 'aXb'|replace('X', 5) }} {{ 'aaa'|replace('a', 'b', 2) }}
{{ 'Hello'.startswith('He') }} {{ 'Hello'.startswith(('x', 'H')) }} {{ 'Hello'.endswith('lo', 1) }} {{ 'Hello'.startswith('l', 2, 3) }} {{ 'x'.startswith(['x']) }}
{{ 'ß ŉ ﬁ'.upper() }} {{ 'İI ΑΣ'.lower() }} {{ "they're ǆ ß ﬁx".title() }} {{ 'ﬁX Y'.capitalize() }} {{ 'Straße ΣΑΣ'.casefold() }} {{ 'aBc ß'.swapcase() }}
{{ 'ab'.center(7, '*') }} {{ 'abc'.center(6) }}| {{ 'ab'.ljust(5) }}| {{ 'ab'.rjust(5, '😀') }} {{ '-42'.zfill(6) }} {{ 'a\\tb'.expandtabs() }} {{ 'a\\tb'.expandtabs(4) }}
{{ '-'.join(['a', 'b']) }} {{ ''.join(('x', 'y')) }} {{ ','.join(d) }} {{ ','.join([1]) }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ 'x'.removesuffix('') }}
{{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ '一'.isnumeric() }} {{ 'aé'.isalpha() }} {{ ''.isalpha() }} {{ ' \\x1f'.isspace() }} {{ 'Ab Cd'.istitle() }} {{ 'AB'.isupper() }} {{ 'x1'.isidentifier() }} {{ 'é'.isascii() }} {{ '\\n'.isprintable() }}
{{ z[6] }} {{ z[-1] }} {{ z[::-1] }} {{ z|length }} {{ z[5:8] }} {{ 'abc'[5] }} {{ 'abc'[::0] }}
{{ 'hello'[1:-1] }} {{ 'hello'[-3:] }} {{ 'hello'[::2] }} {{ 'hello'[4:0:-2] }} {{ 'abc'[true] }} {{ 'abc'[:none] }} {{ 'abc'['x'] }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'ab' * -1 }} {{ 'a' + 1 }}
{{ 'a' ~ 1 ~ none ~ 1.0 ~ [1, 'x'] ~ u }} {{ 'a' 'b' "c" }}
{{ 'a' < 'b' }} {{ 'a' in 'abc' }} {{ '' in 'abc' }} {{ 1 in 'abc' }}
{{ '\\ud7ff\\ue000' < '\\U00010000' }} {{ 'é\\'x' }} {{ "\\N" }}
{{ 'a\\
b' }} {{ '\\é' }} {{ '\\101\\x41\\u0041\\q' }}
""",
    "formatting": """
{{ '%s %r %d %5.2f|%-5s|%05d|%+d|%x|%X|%o|%e|%g|%c|%%' % ('a', 'b', 3.9, 2.345, 'x', 42, 5, 255, 255, 8, 12345.678, 0.00001, 'z') }}
{{ '%(a)s-%(b)5s' % d }} {{ '%s' % [1] }} {{ '%s' % none }} {{ '%s %s' % (1, 2) }} {{ '%s' % ((1, 2),) }} {{ '%.2s|%*d' % ('abc', 5, 3) }} {{ '%#x %#o' % (255, 8) }} {{ '%5.1f%%' % 99.55 }}
{{ '%d' % 'x' }}
{{ '%s' % (1, 2) }}
{{ '%s %s' % 1 }}
{{ '%q' % 1 }}
{{ '%.17e %.17g' % (1e-7, 1e-7) }} {{ '{:.0e} {:.0g}'.format(9.5, 9.5) }} {{ '%.0f %.0f %.0f %.1f %.3g %.10g %g %g' % (0.5, 1.5, 2.5, 0.25, 1234.5, 1 / 3, 1e16, 100000) }}
{{ '{} {}'.format(1, 'x') }} {{ '{1} {0} {a}'.format(1, 2, a=3) }} {{ '{0[1]} {1.a} {1[b]}'.format([1, 2], d) }} {{ '{!r:>5}'.format('a') }} {{ '{{}}'.format() }} {{ '{:{}}'.format('x', 5) }}|
{{ '{:5}|{:<5}|{:>5}|{:^5}|{:*^7}|{:05d}|{:+d}|{:,}|{:_}|{:x}|{:#x}|{:b}|{:e}|{:.2f}|{:%}|{:.1%}|{:g}|{:10.3}'.format(1, 2, 3, 4, 'm', 42, 5, 1234567, 1234567, 255, 255, 5, 1234.5, 2.345, 0.5, 0.1234, 1e10, 'abcdef') }}
{{ '{}'.format() }}
{{ '{a}'.format(b=1) }}
{{ '{'.format() }}
{{ '{0} {}'.format(1) }}
{{ '{:d}'.format('x') }}
{{ '{:.3}|{:.3}|{:08.2f}|{:,.2f}|{:>+8}'.format(1234.5, 0.5, -3.14159, 1234567.891, 2.5) }} {{ '{x}'.format_map({'x': 1}) }}
{{ '%s, %s!'|format('a', 'b') }} {{ '%(x)s'|format(x=1) }} {{ '{:n}'.format(1234) }}
""",
    "containers": """
{{ xs[0] }} {{ xs[-1] }} {{ xs[9] }} {{ xs[1:3] }} {{ xs[::-1] }} {{ xs['a'] }} {{ xs.0 }} {{ (1, 2)[1] }} {{ (1, 2) + (3,) }} {{ [1] * 2 }} {{ (1,) * 2 }}
{{ [1, 2] == [1, 2] }} {{ [1] == (1,) }} {{ [1, 2] < [1, 3] }} {{ [1] < [1, 0] }} {{ {'a': 1} == {'a': 1.0} }} {{ 1 in [true] }} {{ [] is sequence }} {{ {} is mapping }}
{{ xs.append(1) }}
{{ d.update({'z': 1}) }}
{{ d.pop('a') }}
{{ xs.__class__ }}|{{ s.__class__.x }}
{{ xs.index(10) }} {{ xs.count(1) }} {{ xs.copy() }} {{ (1, 2).index(2) }} {{ xs.index(99) }}
{{ d.a }} {{ d['b'] }} {{ d.get('q') }} {{ d.get('q', 7) }} {{ d.items }} {{ d['items'] }} {{ d.keys()|list }} {{ d.values()|list }} {{ d|length }} {{ 'a' in d }} {{ d.q }}|{{ d.q.r }}
{{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict({'a': 1}, a=2) }} {{ dict.fromkeys([1, 2]) }} {{ dict.fromkeys('ab', 0) }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }} {{ {[1]: 2} }}
{{ {'a': 1}.a }} {{ {'a': 1}['a'] }} {{ {1: 2}[1] }} {{ {1: 2}.1 }} {{ d|dictsort }} {{ {'b': 1, 'A': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(by='value', reverse=true) }}
{{ range(3)|list }} {{ range(5, 0, -2)|list }} {{ range(3)[1] }} {{ range(9)[2:5] }} {{ 2 in range(3) }} {{ range(3)|length }} {{ range(100001) }}
{{ range(1, 2, 0) }}
{{ xs|first }} {{ xs|last }} {{ []|first }}|{{ 'abc'|last }} {{ xs|sort }} {{ ss|sort }} {{ ss|sort(case_sensitive=true) }} {{ xs|sort(reverse=true) }} {{ users|sort(attribute='age,name')|map(attribute='name')|list }} {{ [1, 'a']|sort }}
{{ xs|reverse|list }} {{ 'abc'|reverse }} {{ [1, 1, 2]|unique|list }} {{ ['a', 'A']|unique|list }} {{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }} {{ [1, 2, 3, 4, 5]|slice(2)|list }} {{ [1, 2, 3]|slice(2, 'x')|list }}
{{ users|groupby('age') }} {% for a, l in users|groupby('age') %}{{ a }}:{{ l|length }} {% endfor %} {{ (users|groupby('age')|first).grouper }} {{ users|groupby('x', default='d')|length }}
{{ users|map(attribute='name')|join(', ') }} {{ users|join('-', attribute='name') }} {{ ss|map('upper')|list }} {{ users|map(attribute='q', default='?')|list }} {{ xs|map('nofilter') is defined }} {{ xs|map('nofilter')|list }}
{{ xs|select('odd')|list }} {{ xs|reject('odd')|list }} {{ ms|selectattr('role', 'equalto', 'user')|list|length }} {{ ms|rejectattr('tool_calls')|list|length }} {{ users|selectattr('age', 'gt', 26)|map(attribute='name')|list }} {{ mix|select|list|length }} {{ xs|select('in', [1, 2])|list }}
{% set g = xs|map('string') %}{{ g|list }}{{ g|list }}
{{ xs|map('string') is iterable }} {{ 'x' is iterable }} {{ 1 is iterable }} {{ u is iterable }} {{ d is iterable }} {{ 'x' is sequence }} {{ xs is sequence }} {{ 1 is sequence }}
{{ 'a'|attr('upper') is callable }} {{ d|attr('a') }}|{{ d|items|list }} {{ u|items|list }} {{ xs|items|list }}
{% set a, b = [1, 2] %}{{ a }}{{ b }} {% set (x, y), z2 = (1, 2), 3 %}{{ x }}{{ y }}{{ z2 }} {% set a, b = [1] %}
{% set a = 1, %}{{ a }} {{ (1) }} {{ (1,) }} {{ () }} {{ [1, 2,] }} {{ {'a': 1,} }}
{{ cycler('a', 'b').next() }} {% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }} {% set j = joiner('|') %}{{ j() }}x{{ j() }}y{{ j() }}
""",
    "undefined": """
{{ u }}|{{ u|default('x') }}|{{ u is defined }}|{{ not u }}|{{ u == nope }}|{{ u|length }}|{{ u ~ 'a' }}|{{ [u]|string }}|{{ u|string }}|{{ u|list }}
{{ u.x }}
{{ u['x'] }}
{{ u() }}
{{ u + 1 }}
{{ u < 1 }}
{{ -u }}
{{ d.x.y }}
{{ xs[99].y }}
{{ u|upper }}|{{ u|trim }}|{{ u|first }}|{{ u|join }}|{{ u|d('y') }}|{{ none|d('y') }}|{{ none|d('y', true) }}|{{ ''|default('z', boolean=true) }}
{{ u|abs }}
{{ u|int }}
{{ u|tojson }}
{% for x in u %}{{ x }}{% else %}none{% endfor %}
{{ 'x' if false }}|{{ ('x' if false) is defined }}|{{ ('x' if false).y }}
{{ 'a' in u }}|{{ u in [] }}|{{ u is none }}|{{ u is string }}|{{ u == '' }}|{{ u == none }}
{{ raise_exception('stop ' ~ 1) }}
{{ nofunction('x') }}
{{ 'x'|nofilter }}
{{ 'x' is notest }}
{% if false %}{{ 'x'|nofilter }}{% endif %}ok
""",
    "json": """
{{ ms|tojson }}
{{ ms[2]|tojson(indent=2) }}
{{ d|tojson(indent=4, sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ []|tojson(indent=2) }} {{ {}|tojson(indent=2) }} {{ [[], {}]|tojson(indent=1) }}
{{ z|tojson }} {{ z|tojson(ensure_ascii=true) }} {{ h|tojson }} {{ q|tojson }} {{ '\\x00\\x1f\\x7f/\\u2028'|tojson }}
{{ [1.0, 1e22, 1e-7, true, none, 10 ** 20]|tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }} {{ 'nan'|float|tojson }} {{ (1, 2)|tojson }} {{ 'a'|safe|tojson }}
{{ range(3)|tojson }}
{{ {(1, 2): 3}|tojson }}
{{ [1, 2]|tojson(indent='--') }} {{ [1]|tojson(indent=0) }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }} {{ {1: 2, 'a': 3}|tojson(sort_keys=true) }}
""",
    "text filters": """
{{ 'hello world'|title }} {{ "it's o'neil-smith (x) [y] <z>"|title }} {{ 'HELLO w'|capitalize }} {{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 5|trim }} {{ 5|upper }}{{ none|upper }} {{ 'abc'|center(9) }}|
{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent('> ', blank=true) }}|{{ 'a\\n'|indent }}|{{ ''|indent(first=true) }}
{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ 'foo'|truncate(2) }}
{{ 'the quick brown-fox jumps'|wordwrap(10) }} {{ 'abcdefghij kl'|wordwrap(4) }} {{ 'abcdefghij kl'|wordwrap(4, false) }} {{ 'a b\\nc d e'|wordwrap(3, wrapstring='|') }} {{ 'well-known long-term'|wordwrap(7, break_on_hyphens=false) }}
{{ 'a b, c'|wordcount }} {{ 'a&b <c>'|urlencode }} {{ 'é/x y'|urlencode }} {{ {'a': 1, 'b c': 'é/'}|urlencode }} {{ [('x', 1)]|urlencode }} {{ 5|urlencode }}
{{ '<b>x</b> <!-- c -->  y &amp; z'|striptags }} {{ h|e }} {{ h|escape|e }} {{ h|forceescape }} {{ (h|e) + '<' }} {{ '<' + (h|safe) }} {{ (h|safe) ~ '<' }} {{ (h|safe)|upper }} {{ (h|safe).replace('b', '<') }} {{ h|safe|string }} {{ h|safe is escaped }}
{{ {'class': 'a', 'id': none, 'x': '<'}|xmlattr }} {{ 'abc'|list }} {{ 'abc'|length }} {{ '%s'|format('<') }} {{ 'a'|string }} {{ ['<', '>'|safe]|join('&') }}
""",
}

BLOCKS = [
    # Whitespace: trim_blocks, lstrip_blocks, signs.
    "a\n  {% if true %}\n  b\n  {% endif %}\nc",
    "a\n  {%- if true -%}\n  b\n  {%- endif -%}\nc",
    "a {% if true %}\nb{% endif +%}\nc\n  {%+ if true %}d{% endif %}\n",
    "  {# comment #}\n  x {# c -#}  \n y {#- d #}\n z",
    "{{ 1 }}\n{{ 2 }}\n\n", "{{- 1 -}}\n  {{- 2 }}", "a\n\n", "\n", "", "a\r\nb\rc\r\n", "{% raw %}\n{{ x }} {% if %}\n{% endraw %}\nb", "{%- raw -%}  x  {%- endraw -%}  y",
    "x {% raw +%}y{% endraw +%}\nz", "{{ '{{' }} {{ '%}' }} {% if '%}' %}y{% endif %}", "{{ {'a': {'b': 1}}.a }}", "{{ {'a': {'b': 1}}}}", "{ {% } #} %}", "\x85{%- if 1 %} y{% endif %}", "{% set x = 1 -%}\n\n  {{ x }}",
    "{% set x %}\n  a {{ 1 + 1 }}\n{% endset %}[{{ x }}]", "{% set x | upper | trim %} a {% endset %}[{{ x }}]", "{# unclosed", "{% raw %}x", "{{ 'a' ", "{% if x", "{{ 'a }}", "a {{ ] }}", "{{ (1 }} )", "{% endif %}", "{% foo %}", "{{ 1 2 }}", "{{ }}", "{% if %}x{% endif %}", "{% for x in %}{% endfor %}", "{{ x y }}", "{{ 'a' is }}", "{{ a.b.'c' }}", "{% set 1 = 2 %}", "{% set x.y = 2 %}", "{{ a is b is c }}", "{{ f(a=1, 2) }}", "{{ f(**d, a=1) }}", "{{ 1__0 }}", "{{ ? }}", "{{ 1.2.3 }}",
    # Loops.
    "{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.depth }} {% endfor %}",
    "{% for x in [1, 1, 2] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in 'a😀b' %}{{ c }}|{% endfor %}",
    "{% for x in xs if x > 2 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in [1] %}{% break %}{% else %}else{% endfor %}", "{% for x in [1] %}{% continue %}{% else %}else{% endfor %}",
    "{% for x in range(9) %}{% if x == 2 %}{% continue %}{% elif x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for a, b in [(1, 2), [3, 4]] %}{{ a + b }}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% break %}",
    "{% for x in [1, [2, [3]], 4] recursive %}[{{ loop(x) if x is iterable else x }}@{{ loop.depth }}]{% endfor %}", "{% for x in [1] %}{{ loop(x) }}{% endfor %}", "{% for x in xs %}{% for y in [1, 2] %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for loop in xs %}{% endfor %}", "{% for x in xs %}{% set loop = 1 %}{% endfor %}", "{{ loop }}", "{% for x in xs %}{% endfor %}{{ x }}{{ loop is defined }}",
    "{% for m in ms %}{% if not loop.first and loop.previtem.role == m.role %}same{% endif %}{% if loop.nextitem is defined %}>{% endif %}{% endfor %}", "{% for x in xs|select('odd') %}{{ loop.length }}{{ loop.last }}{% endfor %}", "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in xs if loop.index > 1 %}{{ x }}{% endfor %}",
    # Scopes.
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "{% if false %}{% set s = 2 %}{% endif %}{{ s }}", "{% for i in [1] %}{% if i == 2 %}{% set s = 2 %}{% endif %}{{ s }}{% endfor %}", "{{ x }}{% set x = 1 %}{{ x }}", "{% for i in [1, 2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for i in xs %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}|{{ ns['a'] }}", "{% set d.x = 1 %}", "{% set nope.x = 1 %}", "{% set ns = namespace(_x=1) %}", "{% set ns = namespace() %}{% set ns._x = 1 %}", "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{% set ns.x %}q{% endset %}{{ ns.x }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q2 = 1 %}{{ q2 }}{% endwith %}{{ q2 }}", "{% set a = 1 %}{% with a = 2, b = a %}{{ b }}{% endwith %}", "{% set f2 = 1 %}{% macro m() %}{{ f2 }}{% endmacro %}{% set f2 = 2 %}{{ m() }}", "{% macro m() %}{% set y = 1 %}{{ y }}{% endmacro %}{{ m() }}{{ y }}", "{% macro m() %}{{ later }}{% endmacro %}{% set later = 1 %}{{ m() }}", "{% for x in [1] %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}",
    "{% set ns = namespace() %}{% for x in [1] %}{% macro m() %}{{ x }}{% endmacro %}{% set ns.m = m %}{% endfor %}{{ ns.m() }}|{% for x in [5] %}{{ ns.m() }}{% endfor %}", "{% block a %}{{ s }}{% set x = 1 %}{{ x }}{% endblock %}{{ x }}", "{% set x = 1 %}{% block a %}{{ x }}{% endblock %}", "{% for i in [1, 2] %}{% block a %}{{ i }}{% endblock %}{% endfor %}", "{% for i in [1, 2] %}{% block a scoped %}{{ i }}{{ loop.index }}{% endblock %}{% endfor %}", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{% block a required %}{% endblock %}",
    "{% set messages = ms %}{% if messages[0].role == 'system' %}{% set sys = messages[0].content %}{% set messages = messages[1:] %}{% endif %}{{ sys }}{{ messages|length }}", "{% set range = 1 %}{{ range }}", "{% set x = x|default(3) %}{{ x }}", "{% for x in xs %}{% set xs = [] %}{{ x }}{% endfor %}", "{% set x %}{% for i in xs %}{{ i }}{% endfor %}{% endset %}{{ x }}",
    "{% set s = s ~ '!' %}{{ s }}", "{% for i in [1, 2] %}{% set s = s ~ i %}{{ s }};{% endfor %}{{ s }}", "{% if n == 7 %}{% set s = 'in' %}{% else %}{% set t = 'x' %}{% endif %}{{ s }}|{{ t }}", "{% if n != 7 %}{% set s = 'in' %}{% endif %}{{ s }}", "{% for i in [1] %}{% if n != 7 %}{% set s = 1 %}{% endif %}{% for j in [1] %}{{ s }}{% set s = 2 %}{{ s }}{% endfor %}{{ s }}{% endfor %}", "{% macro m(s) %}{{ s }}{% set s = s ~ 1 %}{{ s }}{% endmacro %}{{ m('a') }}{{ s }}", "{% set s %}{{ s }}!{% endset %}{{ s }}", "{% set a = 1 %}{% macro m() %}{{ a }}{% set a = 5 %}{{ a }}{% endmacro %}{{ m() }}{{ a }}", "{% macro m() %}<{{ caller() }}>{% endmacro %}{% for i in [1, 2] %}{% set k = i * 2 %}{% call m() %}{{ i }}{{ k }}{% set k = 9 %}{{ k }}{% endcall %}{{ k }}{% endfor %}", "{% filter upper %}{% set s = 'q' %}{{ s }}{{ t|trim }}{% endfilter %}{{ s }}", "{% for x in xs %}{% if loop.first %}{% set f = x %}{% endif %}{{ f }},{% endfor %}", "{% with s = s|upper, n = n + 1 %}{{ s }}{{ n }}{% endwith %}{{ s }}{{ n }}", "{% macro outer(a) %}{% macro inner(b) %}{{ a }}{{ b }}{{ s }}{% endmacro %}{{ inner(a + 1) }}{% endmacro %}{{ outer(1) }}", "{% for i in [1] %}{% for j in [2] %}{% set i = 5 %}{{ i }}{% endfor %}{{ i }}{% endfor %}", "{% set x = 0 %}{% for i in xs if i > x %}{{ i }}{% set x = 5 %}{% endfor %}{{ x }}", "{% for k, v in d.items() if v is number %}{{ k }}{{ loop.index }}{% endfor %}", "{% set i = 'o' %}{% for i in [1, 2] recursive %}{{ i }}{{ loop([]) }}{% else %}{{ i }}{% endfor %}{{ i }}", "{% for i in [] %}{% set s = 1 %}{% else %}{{ s }}{% set s = 2 %}{{ s }}{% endfor %}{{ s }}", "{% set x = [] %}{% for i in xs %}{% set x = x + [i] %}{% endfor %}{{ x }}", "{% set ns = namespace(x=[]) %}{% for i in xs %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}", "{% if true %}{% for i in [1] %}{% set z1 = i %}{% endfor %}{% endif %}{{ z1 is defined }}", "{% for a9 in [1] %}{% set q9 = a9 %}{% for i in [1] %}{% if false %}{% set q9 = 2 %}{% endif %}{{ q9 }}{% endfor %}{% endfor %}", "{{ none is sameas none }}{{ 5 is sameas 5 }}{{ 1 is sameas true }}{{ 1 is sameas 1.0 }}{{ xs is sameas xs }}{{ xs is sameas ss }}{{ xs is sameas xs[:] }}", "{{ '{:08,}|{:09,}|{:010,}|{:011_x}|{:012,.2f}|{:+09,}'.format(1234, 1234, 1234, 65535, 1234.5, 1) }}", "{% for x in xs %}{{ loop is iterable }}{{ loop is callable }}{% endfor %}", "{% generation %}{{ s }}{% set s = 1 %}{{ s }}{% endgeneration %}{{ s }}", "{% for m in ms %}{% generation %}{{ loop.index }}{{ m.role }}{% endgeneration %}{% endfor %}", "{% macro m() %}{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}{% endmacro %}{{ m() }}{{ m() }}", "{% set x %}{% for i in [1, 2] %}{{ i }}{% endfor %}{% set y %}{{ 5 }}{% endset %}{{ y }}{% endset %}{{ x }}{{ y is defined }}",
    # Macros and calls.
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=5) }} {{ m(b=1, a=0) }} {{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(x=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}<{{ caller(a) }}>{% endmacro %}{% call(x) m(5) %}{{ x + 1 }}{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% call m() %}{% endcall %}",
    "{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}", "{% macro m(a=none) %}{{ a is none }}{% endmacro %}{{ m() }}{{ m(none) }}{{ m(u) }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m('<')|e }}", "{% macro m(*a) %}{% endmacro %}", "{% macro m(a, b=1, c) %}{% endmacro %}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}{{ m(1, **{'a': 2}) }}", "{% filter upper|trim %} a {{ s }} {% endfilter %}", "{% filter length %}a{% endfilter %}", "{% generation %}{% set x = 1 %}a{{ x }}{% endgeneration %}{{ x }}", "{%- generation -%} a {%- endgeneration -%} b", "{% macro m() %}{{ loop.index }}{% endmacro %}{% for x in xs %}{{ m() }}{% endfor %}", "{% print 1, 'a' %}", "{% autoescape false %}{{ h }}{% endautoescape %}", "{% do x %}", "{% macro m(a, a) %}{% endmacro %}", "{{ dict(a=1, a=2) }}",
    # Errors with lines.
    "a\n{{ 1 }}\n{{ u.x }}\n", "{% for m in ms %}\n{% if m.role == 'user' %}\n{{ raise_exception('at ' ~ loop.index) }}\n{% endif %}\n{% endfor %}", "a\nb\n{% if x %}\n", "a\n{{ 1 +\n\n* 2 }}", "{% macro m() %}\n\n{{ 1 / 0 }}{% endmacro %}\n\n{{ m() }}", "{# a\nb #}\n{{ 'x\ny' }}\n{{ u + 1 }}", "{% set x =\n u.y %}",
    # Precedence.
    "{{ not 1 in [1] }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 1 + 2 ~ 3 }} {{ 1 ~ 2 + 3 }} {{ -1|abs }} {{ 1 - -1|abs }} {{ 'a' ~ 'b' * 2 }} {{ 1 if 2 if 0 else 3 else 4 }} {{ 1 or 2 and 0 }} {{ 1 is odd and 2 is even }} {{ not u is defined }} {{ 2 is divisibleby 2 or 0 }} {{ 'a' in 'ab' == true }} {{ 1 == 1 in [true] }} {{ 7 - 2 - 1 }} {{ 8 / 2 / 2 }} {{ 5 % 3 * 2 }} {{ xs|first + 1 }} {{ xs|length == 4 }} {{ 'x' is string is defined }}",
]


def cases():
    for name, text in THEMES.items():
        lines = text.strip("\n").replace("\\\n", "\\\0").split("\n")
        # One expression each, so that an error hides no other; lines with statements stay whole.
        yield name, [part for line in lines for part in ([line] if "{%" in line else re.split(r"(?<=\}\})[ |]*(?=\{\{)", line))]
    yield "blocks", BLOCKS
    generator = fuzz_jinja.Generator(random.Random(2026))
    yield "generated", [generator.case() for _ in range(900)]


METHODS = (
    "upper lower title capitalize casefold swapcase isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace"
    " istitle isupper"
).split()


def as_int(char):
    try:
        return str(int(char))
    except ValueError:
        return "-"


def unicode_digests():
    """What str knows of the code points of the first two planes: a digest for each method, and of what looks at neighbours."""
    questions = {method: (lambda char, method=method: str(getattr(char, method)())) for method in METHODS}
    questions["repr"] = repr
    questions["title within"] = lambda char: f"a{char}b {char}x".title()
    questions["lower within"] = lambda char: f"a{char}\u03a3{char}b \u03a3{char}".lower()
    questions["splitlines"] = lambda char: str(len(f"a{char}b".splitlines()))
    questions["words"] = lambda char: str(len(re.findall(r"\w+", f"a{char}b")))
    questions["int"] = as_int
    questions["wordwrap"] = lambda char: "|".join(textwrap.wrap(f"ab-{char}cdefgh", 4, expand_tabs=False, replace_whitespace=False))
    chars = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    return {
        name: hashlib.sha256("\n".join(map(answer, chars)).encode()).hexdigest() for name, answer in questions.items()
    }


def error_line(error):
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def main():
    warnings.simplefilter("ignore")
    themes = {}
    for name, templates in cases():
        rows = []
        for template in templates:
            template = template.replace("\\\0", "\\\n")
            text, error = fuzz_jinja.python_render(template)
            if error is not None:
                rows.append([template, None, type(error).__name__, error_line(error)])
            elif " at 0x" not in text:
                rows.append([template, text])
        themes[name] = rows
    versions = {"jinja2": jinja2.__version__, "transformers": transformers.__version__, "python": sys.version.split()[0]}
    out = pathlib.Path(__file__).with_name("jinja.golden.json")
    lines = ",\n".join(
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]" for name, rows in themes.items()
    )
    out.write_text(
        f'{{"versions": {json.dumps(versions)},\n"unicode": {json.dumps(unicode_digests())},\n"context": {json.dumps(json.dumps(fuzz_jinja.CONTEXT))},\n"themes": {{\n{lines}\n}}}}\n', encoding="utf-8"
    )
    print({name: len(rows) for name, rows in themes.items()}, out.stat().st_size)


if __name__ == "__main__":
    main()
