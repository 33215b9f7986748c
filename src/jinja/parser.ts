// Statements: what Jinja2's core, its loop controls and transformers' generation tag know.
import { spend } from "./budget.js";
import { unsupported } from "./errors.js";
import { ExpressionParser } from "./expression-parser.js";
import type { BlockNode, CallBlockNode, FilterNode, IfNode, NameNode, Signature, Statement } from "./nodes.js";
import { TokenStream } from "./token-stream.js";

/** @throws {JinjaError} TemplateSyntaxError, Unsupported */
export function parse(source: string): Statement[] {
  return new Parser(new TokenStream(source)).template();
}

class Parser extends ExpressionParser {
  template(): Statement[] {
    const body = this.#body([]);
    if (!this.stream.is("eof")) this.stream.fail(`unexpected '${this.stream.current.value}'`);
    return body;
  }

  /** Up to one of the tags of `ends`, which is left as the current token. */
  #body(ends: readonly string[]): Statement[] {
    const { stream } = this;
    const body: Statement[] = [];
    for (;;) {
      const { type, value, line } = stream.current;
      if (type === "data") {
        stream.next();
        body.push({ type: "text", text: value, line });
      } else if (type === "print") {
        stream.next();
        body.push({ type: "print", value: this.tuple(), line: stream.current.line });
        stream.expect("endprint");
      } else if (type === "begin") {
        stream.next();
        if (stream.is("name") && ends.includes(stream.current.value)) return body;
        body.push(...stream.nest(() => this.#statement(ends)));
        stream.expect("end");
      } else {
        if (ends.length > 0) stream.fail(`Unexpected end of template: looking for ${ends.join(" or ")}`);
        return body;
      }
    }
  }

  /** The body of a statement, to one of `ends`, which is taken. Returns which. */
  #bodyTo(...ends: string[]): { body: Statement[]; end: string } {
    this.stream.skipIf("op", ":");
    this.stream.expect("end");
    const body = this.#body(ends);
    return { body, end: this.stream.next().value };
  }

  #statement(ends: readonly string[]): Statement[] {
    const { stream } = this;
    const { type, value, line } = stream.current;
    if (type !== "name") stream.fail("tag name expected");
    stream.next();
    switch (value) {
      case "for":
        return [this.#for(line)];
      case "if":
        return [this.#if(line)];
      case "set":
        return [this.#set(line)];
      case "print":
        return this.#print(line);
      case "macro": {
        const name = stream.expect("name").value;
        return [{ type: "macro", name, ...this.#signature(), body: this.#bodyTo("endmacro").body, line }];
      }
      case "call":
        return [this.#callBlock(line)];
      case "generation":
        return [
          {
            type: "callBlock",
            call: undefined,
            params: [],
            defaults: [],
            body: this.#bodyTo("endgeneration").body,
            line,
          },
        ];
      case "filter":
        return [this.#filterBlock(line)];
      case "with":
        return [this.#with(line)];
      case "autoescape":
        return [this.#autoescape(line)];
      case "block":
        return [this.#block(line)];
      case "break":
      case "continue":
        return [{ type: value, line }];
      case "extends":
      case "include":
      case "import":
      case "from":
        throw unsupported(`{% ${value} %}: a chat template is one file`, line);
    }
    const looking = ends.length > 0 ? `; looking for ${ends.join(" or ")}` : "";
    return stream.fail(`Encountered unknown tag '${value}'${looking}`, line);
  }

  #for(line: number): Statement {
    const { stream } = this;
    const target = this.target({ endsBefore: "in" });
    stream.expect("name", "in");
    const iterable = this.tuple({ condition: false, endsBefore: "recursive" });
    const test = stream.skipIf("name", "if") ? this.expression() : undefined;
    const recursive = stream.skipIf("name", "recursive");
    const { body, end } = this.#bodyTo("endfor", "else");
    const otherwise = end === "else" ? this.#bodyTo("endfor").body : [];
    return { type: "for", target, iterable, test, recursive, body, otherwise, line };
  }

  #if(line: number): IfNode {
    const elifs: IfNode[] = [];
    const test = this.tuple({ condition: false });
    let { body, end } = this.#bodyTo("elif", "else", "endif");
    const first = body;
    let otherwise: Statement[] = [];
    while (end === "elif") {
      const { line: elifLine } = this.stream.current;
      const elifTest = this.tuple({ condition: false });
      ({ body, end } = this.#bodyTo("elif", "else", "endif"));
      elifs.push({ type: "if", test: elifTest, body, elifs: [], otherwise: [], line: elifLine });
    }
    if (end === "else") otherwise = this.#bodyTo("endif").body;
    return { type: "if", test, body: first, elifs, otherwise, line };
  }

  #set(line: number): Statement {
    const target = this.target({ namespaces: true });
    if (this.stream.skipIf("op", "=")) return { type: "set", target, value: this.tuple(), line };
    const filter = this.filters(undefined) as FilterNode | undefined;
    return { type: "setBlock", target, filter, body: this.#bodyTo("endset").body, line };
  }

  #print(line: number): Statement[] {
    const values: Statement[] = [];
    while (!this.stream.is("end")) {
      if (values.length > 0) this.stream.expect("op", ",");
      values.push({ type: "print", value: this.expression(), line });
    }
    return values;
  }

  #signature(): Signature {
    const { stream } = this;
    const params: NameNode[] = [];
    const defaults = [];
    stream.expect("op", "(");
    while (!stream.is("op", ")")) {
      if (params.length > 0) stream.expect("op", ",");
      const { value: name, line } = stream.expect("name");
      spend(params.length);
      if (params.some((other) => other.name === name)) stream.fail(`duplicate argument '${name}'`, line);
      params.push({ type: "name", name, use: "param", line });
      if (stream.skipIf("op", "=")) defaults.push(this.expression());
      else if (defaults.length > 0) stream.fail("non-default argument follows default argument");
    }
    stream.next();
    return { params, defaults };
  }

  #callBlock(line: number): CallBlockNode {
    const signature = this.stream.is("op", "(") ? this.#signature() : { params: [], defaults: [] };
    const call = this.expression();
    if (call.type !== "call") this.stream.fail("expected call", line);
    return { type: "callBlock", call, ...signature, body: this.#bodyTo("endcall").body, line };
  }

  #filterBlock(line: number): Statement {
    const filter = this.filters(this.filter(undefined)) as FilterNode;
    return { type: "filterBlock", filter, body: this.#bodyTo("endfilter").body, line };
  }

  #with(line: number): Statement {
    const { stream } = this;
    const targets = [];
    const values = [];
    while (!stream.is("end")) {
      if (targets.length > 0) stream.expect("op", ",");
      targets.push(this.target());
      stream.expect("op", "=");
      values.push(this.expression());
    }
    return { type: "with", targets, values, body: this.#bodyTo("endwith").body, line };
  }

  #autoescape(line: number): Statement {
    const value = this.expression();
    if (value.type !== "const" || value.value !== false) {
      throw unsupported("{% autoescape %}: a chat template escapes nothing", line);
    }
    return { type: "scope", body: this.#bodyTo("endautoescape").body, line };
  }

  #block(line: number): BlockNode {
    const { stream } = this;
    const name = stream.expect("name").value;
    const scoped = stream.skipIf("name", "scoped");
    const required = stream.skipIf("name", "required");
    if (stream.is("op", "-")) stream.fail("block names may not contain hyphens");
    const { body } = this.#bodyTo("endblock");
    if (required && body.some((part) => part.type !== "text" || part.text.trim() !== "")) {
      stream.fail("Required blocks can only contain comments or whitespace");
    }
    stream.skipIf("name", name);
    return { type: "block", name, scoped, required, body, line };
  }
}
