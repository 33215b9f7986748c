// Expressions, with the precedence of jinja2/parser.py: or, and, not, comparison, + -, ~, * / // %, **, sign, and then filters and tests.
import { spend } from "./budget.js";
import type { Arguments, BinaryOperator, CallNode, Comparison, Expression, FilterNode, Target } from "./nodes.js";
import { describe, type TokenStream } from "./token-stream.js";

const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const KEYWORD_CONSTANTS: ReadonlyMap<string, null | boolean> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);

export class ExpressionParser {
  protected readonly stream: TokenStream;

  constructor(stream: TokenStream) {
    this.stream = stream;
  }

  protected expression(): Expression {
    return this.stream.nest(() => this.#condition());
  }

  /** Expressions with commas between them are a tuple. */
  protected tuple(options: { condition?: boolean; endsBefore?: string; inParentheses?: boolean } = {}): Expression {
    const { stream } = this;
    const parse = options.condition === false ? () => stream.nest(() => this.#or()) : () => this.expression();
    const line = stream.current.line;
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) stream.expect("op", ",");
      if (this.#endsTuple(options.endsBefore)) break;
      items.push(parse());
      if (!stream.is("op", ",")) break;
      isTuple = true;
    }
    if (!isTuple) {
      if (items.length > 0) return items[0]!;
      if (!options.inParentheses) stream.fail(`Expected an expression, got '${describe(stream.current)}'`);
    }
    return { type: "tuple", items, line };
  }

  #endsTuple(word: string | undefined): boolean {
    const { stream } = this;
    return (
      stream.is("endprint") ||
      stream.is("end") ||
      stream.is("op", ")") ||
      (word !== undefined && stream.is("name", word))
    );
  }

  /** What is assigned to: names, tuples of them and, where `namespaces`, attributes of namespaces. */
  protected target({ namespaces = false, endsBefore }: { namespaces?: boolean; endsBefore?: string } = {}): Target {
    const { stream } = this;
    const line = stream.current.line;
    const items: Target[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) stream.expect("op", ",");
      if (this.#endsTuple(endsBefore)) break;
      items.push(this.#oneTarget(namespaces));
      if (!stream.is("op", ",")) break;
      isTuple = true;
    }
    if (!isTuple) {
      if (items.length > 0) return items[0]!;
      stream.fail(`Expected an expression, got '${describe(stream.current)}'`);
    }
    return { type: "targets", items, line };
  }

  #oneTarget(namespaces: boolean): Target {
    const { stream } = this;
    if (stream.skipIf("op", "(")) {
      // Inside parentheses Jinja2 reads a tuple of expressions: an attribute there is none that can be assigned to.
      const inner = stream.is("op", ")")
        ? ({ type: "targets", items: [], line: stream.current.line } as const)
        : this.target();
      stream.expect("op", ")");
      return inner;
    }
    if (!stream.is("name")) stream.fail(`can't assign to '${describe(stream.current)}'`);
    const token = stream.next();
    if (KEYWORD_CONSTANTS.has(token.value)) stream.fail("can't assign to 'const'", token.line);
    if (namespaces && stream.skipIf("op", ".")) {
      return { type: "namespace", name: token.value, attribute: stream.expect("name").value, line: token.line };
    }
    return { type: "name", name: token.value, use: "store", line: token.line };
  }

  #condition(): Expression {
    const { stream } = this;
    let line = stream.current.line;
    let value = this.#or();
    while (stream.skipIf("name", "if")) {
      const test = this.#or();
      const otherwise = stream.skipIf("name", "else") ? stream.nest(() => this.#condition()) : undefined;
      value = { type: "condition", test, value, otherwise, line };
      line = stream.current.line;
    }
    return value;
  }

  #or(): Expression {
    return this.#words("or", () => this.#words("and", () => this.#not()));
  }

  #words(word: "or" | "and", operand: () => Expression): Expression {
    const { stream } = this;
    const line = stream.current.line;
    let left = operand();
    while (stream.skipIf("name", word)) left = { type: "binary", op: word, left, right: operand(), line };
    return left;
  }

  #not(): Expression {
    const { stream } = this;
    if (!stream.is("name", "not")) return this.#compare();
    const { line } = stream.next();
    return { type: "unary", op: "not", operand: stream.nest(() => this.#not()), line };
  }

  #compare(): Expression {
    const { stream } = this;
    const line = stream.current.line;
    const first = this.#sum();
    const rest: { op: Comparison; operand: Expression }[] = [];
    for (;;) {
      if (stream.is("op") && COMPARISONS.has(stream.current.value)) {
        rest.push({ op: stream.next().value as Comparison, operand: this.#sum() });
      } else if (stream.skipIf("name", "in")) {
        rest.push({ op: "in", operand: this.#sum() });
      } else if (stream.is("name", "not") && stream.following.type === "name" && stream.following.value === "in") {
        stream.next();
        stream.next();
        rest.push({ op: "not in", operand: this.#sum() });
      } else {
        return rest.length === 0 ? first : { type: "compare", first, rest, line };
      }
    }
  }

  #sum(): Expression {
    return this.#binary(["+", "-"], () => this.#concat());
  }

  #concat(): Expression {
    const { stream } = this;
    const line = stream.current.line;
    const parts = [this.#product()];
    while (stream.skipIf("op", "~")) parts.push(this.#product());
    return parts.length === 1 ? parts[0]! : { type: "concat", parts, line };
  }

  #product(): Expression {
    return this.#binary(["*", "/", "//", "%"], () => this.#binary(["**"], () => this.#unary(true)));
  }

  #binary(ops: readonly BinaryOperator[], operand: () => Expression): Expression {
    const { stream } = this;
    const line = stream.current.line;
    let left = operand();
    while (stream.is("op") && (ops as readonly string[]).includes(stream.current.value)) {
      const op = stream.next().value as BinaryOperator;
      left = { type: "binary", op, left, right: operand(), line };
    }
    return left;
  }

  /** A sign binds its operand's postfixes, but not its filters: `-x|abs` is `(-x)|abs`. */
  #unary(withFilters: boolean): Expression {
    const { stream } = this;
    const { line } = stream.current;
    let node: Expression;
    if (stream.is("op", "-") || stream.is("op", "+")) {
      const op = stream.next().value as "-" | "+";
      node = { type: "unary", op, operand: stream.nest(() => this.#unary(false)), line };
    } else {
      node = this.#primary();
    }
    node = this.#postfix(node);
    return withFilters ? this.#filtersAndTests(node) : node;
  }

  #primary(): Expression {
    const { stream } = this;
    const token = stream.next();
    const { line } = token;
    switch (token.type) {
      case "name": {
        const constant = KEYWORD_CONSTANTS.get(token.value);
        if (constant !== undefined) return { type: "const", value: constant, line };
        return { type: "name", name: token.value, use: "load", line };
      }
      case "string": {
        let value = token.value;
        while (stream.is("string")) value += stream.next().value;
        return { type: "const", value, line };
      }
      case "int":
      case "float":
        return { type: "number", text: token.value, isFloat: token.type === "float", line };
      case "op":
        if (token.value === "(") {
          const node = this.tuple({ inParentheses: true });
          stream.expect("op", ")");
          return node;
        }
        if (token.value === "[") return { type: "list", items: this.#items("]", () => this.expression()), line };
        if (token.value === "{") return { type: "dict", items: this.#items("}", () => this.#pair()), line };
    }
    return stream.fail(`unexpected '${describe(token)}'`, line);
  }

  #items<T>(close: string, item: () => T): T[] {
    const { stream } = this;
    const items: T[] = [];
    while (!stream.is("op", close)) {
      if (items.length > 0) stream.expect("op", ",");
      if (stream.is("op", close)) break;
      items.push(item());
    }
    stream.next();
    return items;
  }

  #pair(): readonly [Expression, Expression] {
    const key = this.expression();
    this.stream.expect("op", ":");
    return [key, this.expression()];
  }

  #postfix(node: Expression): Expression {
    const { stream } = this;
    let result = node;
    for (;;) {
      if (stream.is("op", ".") || stream.is("op", "[")) result = this.#subscript(result);
      else if (stream.is("op", "(")) result = this.#call(result);
      else return result;
    }
  }

  #filtersAndTests(node: Expression): Expression {
    const { stream } = this;
    let result = node;
    for (;;) {
      if (stream.is("op", "|")) result = this.filters(result)!;
      else if (stream.is("name", "is")) result = this.#test(result);
      // A call may follow a filter or a test too.
      else if (stream.is("op", "(")) result = this.#call(result);
      else return result;
    }
  }

  #subscript(object: Expression): Expression {
    const { stream } = this;
    const { line, value } = stream.next();
    if (value === ".") {
      const token = stream.next();
      if (token.type === "name") return { type: "attribute", object, name: token.value, line };
      if (token.type !== "int") stream.fail("expected name or number", token.line);
      return { type: "item", object, key: { type: "number", text: token.value, isFloat: false, line }, line };
    }
    const first = stream.is("op", "]") ? undefined : this.#subscribed(object, line);
    if (first === undefined) {
      stream.next();
      return { type: "item", object, key: { type: "tuple", items: [], line }, line };
    }
    if (stream.skipIf("op", "]")) return first;
    const keys = [first];
    while (!stream.is("op", "]")) {
      stream.expect("op", ",");
      keys.push(this.#subscribed(object, line));
    }
    stream.next();
    const items = keys.map((key) => {
      if (key.type === "slice") stream.fail("a slice among several subscripts", line);
      return (key as Expression & { type: "item" }).key;
    });
    return { type: "item", object, key: { type: "tuple", items, line }, line };
  }

  #subscribed(object: Expression, line: number): Expression {
    const { stream } = this;
    const ends = () => stream.is("op", "]") || stream.is("op", ",");
    let start: Expression | undefined;
    if (!stream.is("op", ":")) {
      start = this.expression();
      if (!stream.is("op", ":")) return { type: "item", object, key: start, line };
    }
    stream.next();
    const stop = stream.is("op", ":") || ends() ? undefined : this.expression();
    const step = stream.skipIf("op", ":") && !ends() ? this.expression() : undefined;
    return { type: "slice", object, bounds: [start, stop, step], line };
  }

  #call(callee: Expression): CallNode {
    const { line } = this.stream.current;
    return { type: "call", callee, line, ...this.#arguments() };
  }

  #arguments(): Arguments {
    const { stream } = this;
    const { line } = stream.expect("op", "(");
    const args: Expression[] = [];
    const kwargs: { name: string; value: Expression }[] = [];
    let moreArgs: Expression | undefined;
    let moreKwargs: Expression | undefined;
    const ensure = (holds: boolean) => holds || stream.fail("invalid syntax for function call expression", line);
    for (let comma = false; !stream.is("op", ")"); comma = true) {
      if (comma) {
        stream.expect("op", ",");
        if (stream.is("op", ")")) break;
      }
      if (stream.is("op", "*")) {
        ensure(moreArgs === undefined && moreKwargs === undefined);
        stream.next();
        moreArgs = this.expression();
      } else if (stream.is("op", "**")) {
        ensure(moreKwargs === undefined);
        stream.next();
        moreKwargs = this.expression();
      } else if (stream.is("name") && stream.following.type === "op" && stream.following.value === "=") {
        ensure(moreKwargs === undefined);
        const name = stream.next().value;
        stream.next();
        spend(kwargs.length);
        if (kwargs.some((other) => other.name === name)) stream.fail(`keyword argument repeated: ${name}`, line);
        kwargs.push({ name, value: this.expression() });
      } else {
        ensure(moreArgs === undefined && moreKwargs === undefined && kwargs.length === 0);
        args.push(this.expression());
      }
    }
    stream.next();
    return { args, kwargs, moreArgs, moreKwargs };
  }

  #optionalArguments(): Arguments {
    if (this.stream.is("op", "(")) return this.#arguments();
    return { args: [], kwargs: [], moreArgs: undefined, moreKwargs: undefined };
  }

  /** `|a|b(…)` after `node`; after nothing where a block is filtered. */
  protected filters(node: Expression | undefined): Expression | undefined {
    let result = node;
    while (this.stream.skipIf("op", "|")) result = this.filter(result);
    return result;
  }

  protected filter(operand: Expression | undefined): FilterNode {
    const { line } = this.stream.current;
    return { type: "filter", name: this.#dottedName(), operand, line, ...this.#optionalArguments() };
  }

  #dottedName(): string {
    const { stream } = this;
    let name = stream.expect("name").value;
    while (stream.skipIf("op", ".")) name += `.${stream.expect("name").value}`;
    return name;
  }

  #test(operand: Expression): Expression {
    const { stream } = this;
    const { line } = stream.next();
    const negated = stream.skipIf("name", "not");
    const name = this.#dottedName();
    let args = this.#optionalArgumentsOfTest();
    if (args === undefined) {
      if (stream.is("name", "is")) stream.fail("You cannot chain multiple tests with is");
      args = { args: [this.#postfix(this.#primary())], kwargs: [], moreArgs: undefined, moreKwargs: undefined };
    }
    const test: Expression = { type: "test", name, operand, line, ...args };
    return negated ? { type: "unary", op: "not", operand: test, line } : test;
  }

  /** Undefined where an argument without parentheses follows. */
  #optionalArgumentsOfTest(): Arguments | undefined {
    const { stream } = this;
    const { type, value } = stream.current;
    if (type === "string" || type === "int" || type === "float") return undefined;
    if (type === "op" && (value === "[" || value === "{")) return undefined;
    if (type === "name" && value !== "else" && value !== "or" && value !== "and") return undefined;
    return this.#optionalArguments();
  }
}
