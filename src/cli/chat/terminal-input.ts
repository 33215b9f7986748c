// A chat on a terminal: node's line editor, which has the keys while a line is entered and at no other time. Keys that are pressed while the model loads
// or answers wait, unseen; Ctrl-C and Ctrl-Z do what they do on any terminal.
import { EventEmitter } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { styleText } from "node:util";
import { QuipuError } from "../../errors.js";
import type { Context } from "../context.js";
import { widthOf } from "../terminal/columns.js";
import { coloured } from "../terminal/tokens.js";
import { visible } from "../terminal/visible.js";
import { type Entry, EntryReader } from "./entries.js";
import { type History, MOST_LINES } from "./history.js";
import type { ChatSource } from "./input.js";

const CTRL_C = "\x03";
const CTRL_Z = "\x1a";
// biome-ignore lint/suspicious/noControlCharactersInRegex: Ctrl-C and Ctrl-Z
const LINE_END = /\r\n|\r|\n|\x03|\x1a/;
/** A terminal that can, puts these around what is pasted (xterm's bracketed paste). */
const [PASTE, PASTE_END] = ["\x1b[200~", "\x1b[201~"];
const [PASTE_ON, PASTE_OFF] = ["\x1b[?2004h", "\x1b[?2004l"];

/** What the line editor reads. */
class Keys extends EventEmitter {
  readonly isTTY = true;

  setRawMode(on: boolean): this {
    process.stdin.setRawMode(on);
    return this;
  }

  pause(): this {
    return this;
  }

  resume(): this {
    return this;
  }
}

/** What the line editor writes to. It hears of another width only while a line is entered: else it would draw over the answer. */
class Screen extends EventEmitter {
  readonly isTTY = true;

  get columns(): number {
    return widthOf(process.stdout);
  }

  write(...args: [text: string]): boolean {
    return process.stdout.write(...args);
  }
}

export class TerminalSource implements ChatSource {
  readonly #context: Context;
  readonly #history: History;
  readonly #keys = new Keys();
  readonly #screen = new Screen();
  readonly #editor: Interface;
  readonly #reader = new EntryReader();
  readonly #canErase = process.env.TERM !== "dumb";
  /** Keys that wait until a line is entered. */
  #held = "";
  /** Within what is pasted. */
  #isPasted = false;
  /** The line that comes is none. */
  #isCancelled = false;
  #isClosed = false;
  /** The last that was entered was Ctrl-C at an empty prompt. */
  #isLeaving = false;
  #waiting: { resolve(entry: Entry | undefined): void; reject(error: unknown): void } | undefined;
  #stop: (() => void) | undefined;
  #undivert: (() => void) | undefined;

  constructor(context: Context, history: History) {
    this.#context = context;
    this.#history = history;
    this.#editor = createInterface({
      input: this.#keys as unknown as NodeJS.ReadableStream,
      output: this.#screen as unknown as NodeJS.WritableStream,
      terminal: true,
      history: [...history.lines],
      historySize: MOST_LINES,
      removeHistoryDuplicates: true,
    });
    this.#editor.on("line", (line) => this.#line(line));
    this.#editor.on("close", () => this.#left());
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", this.#take);
    process.stdin.resume(); // a question before the chat has paused it
    process.stdin.on("end", this.#ended);
    process.stdin.on("error", this.#ended);
    process.stdout.on("resize", this.#resized);
    process.on("SIGCONT", this.#continued);
    process.on("exit", this.#restore);
    context.signal.addEventListener("abort", this.#aborted);
    if (this.#canErase) process.stdout.write(PASTE_ON);
  }

  next(): Promise<Entry | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#context.signal.aborted) return reject(interrupted());
      if (this.#isClosed) return resolve(undefined);
      this.#waiting = { resolve, reject };
      this.#undivert = this.#context.divertInterrupt(() => this.#interruptLine());
      this.#prompt();
      this.#feed("");
    });
  }

  async during<T>(stop: () => void, work: () => Promise<T>): Promise<T> {
    this.#stop = stop;
    const undivert = this.#context.divertInterrupt(stop);
    try {
      return await work();
    } finally {
      undivert();
      this.#stop = undefined;
    }
  }

  prefill(text: string): boolean {
    this.#held = `${PASTE}${visible(text)}${PASTE_END}${this.#held}`;
    return true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#editor.close();
    this.#restore();
    process.stdin.off("data", this.#take);
    process.stdin.off("end", this.#ended);
    process.stdin.off("error", this.#ended);
    process.stdin.pause();
    process.stdout.off("resize", this.#resized);
    process.off("SIGCONT", this.#continued);
    process.off("exit", this.#restore);
    this.#context.signal.removeEventListener("abort", this.#aborted);
  }

  /** Keys have come. */
  readonly #take = (text: string) => {
    if (this.#waiting !== undefined) return this.#feed(text);
    for (const key of text) {
      if (key === CTRL_C) this.#interruptWork();
      else if (key === CTRL_Z) this.#suspend();
      else this.#held += key;
    }
  };

  /** Gives keys to the editor, up to the end of the entry. */
  #feed(keys: string): void {
    this.#held += keys;
    while (this.#waiting !== undefined && this.#held !== "") {
      const marker = this.#isPasted ? PASTE_END : PASTE;
      const at = this.#held.indexOf(marker);
      if (at === 0) {
        this.#held = this.#held.slice(marker.length);
        this.#isPasted = !this.#isPasted;
        continue;
      }
      const most = at > 0 ? at : this.#held.length - openEnd(this.#held, marker);
      if (most === 0) return; // the rest of the marker comes
      const end = LINE_END.exec(this.#held.slice(0, most)); // also within a paste, which may never end
      const text = this.#held.slice(0, end?.index ?? most);
      this.#held = this.#held.slice(end === null ? most : end.index + end[0].length);
      this.#edit(this.#isPasted ? visible(text) : text);
      if (end !== null && this.#waiting !== undefined) this.#end(end[0]);
    }
  }

  /**
   * Gives the editor keys one by one: of several at once, node 20 puts all characters but the last at the end of the line, wherever the cursor is. That is
   * quick, and right for what is pasted there.
   */
  #edit(keys: string): void {
    const isAtEnd = this.#editor.cursor === this.#editor.line.length;
    if (this.#isPasted && isAtEnd && keys !== "") this.#keys.emit("data", keys);
    else for (const key of keys) this.#keys.emit("data", key);
  }

  /** A line ends, in whatever way. The editor gets no key that has it do something else than edit: from within, it takes no others. */
  #end(key: string): void {
    if (key === CTRL_C) this.#interruptLine();
    else if (key === CTRL_Z) this.#suspend();
    else this.#keys.emit("data", "\r");
  }

  #line(line: string): void {
    if (this.#isCancelled) return;
    this.#isLeaving = false;
    this.#history.add(line);
    const entry = this.#reader.push(line, this.#isPasted);
    if (entry === undefined) this.#prompt();
    else this.#settle()?.resolve(entry);
  }

  #prompt(): void {
    const prompt = this.#reader.isOpen ? "... " : ">>> ";
    this.#editor.setPrompt(coloured() ? styleText("bold", prompt, { validateStream: false }) : prompt);
    this.#editor.prompt();
  }

  /** The wait is over. */
  #settle() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#undivert?.();
    return waiting;
  }

  /** Ctrl-C while a line is entered: it is given up; twice at an empty prompt leaves. */
  #interruptLine(): void {
    const isEmpty = this.#editor.line === "" && !this.#reader.isOpen;
    this.#reader.cancel();
    this.#isPasted = false;
    process.stdout.write("^C");
    this.#isCancelled = true;
    this.#keys.emit("data", "\r"); // the editor begins a new line, and forgets this one
    this.#isCancelled = false;
    if (isEmpty && this.#isLeaving) {
      this.#settle()?.reject(interrupted());
      return;
    }
    this.#isLeaving = isEmpty;
    if (isEmpty) process.stdout.write("Ctrl-C once more leaves, as Ctrl-D and /exit do\n");
    this.#prompt();
  }

  #interruptWork(): void {
    if (this.#stop === undefined)
      process.kill(process.pid, "SIGINT"); // the keys of a terminal in raw mode are no signals
    else this.#stop();
  }

  /** Ctrl-D. */
  #left(): void {
    const waiting = this.#settle();
    if (waiting !== undefined) process.stdout.write("\n");
    this.close();
    waiting?.resolve(undefined);
  }

  readonly #ended = () => this.#editor.close();

  readonly #aborted = () => {
    const waiting = this.#settle();
    if (waiting !== undefined) process.stdout.write("\n");
    this.close();
    waiting?.reject(interrupted());
  };

  readonly #resized = () => {
    if (this.#waiting !== undefined && this.#canErase) this.#screen.emit("resize");
  };

  /** Ctrl-Z, for all processes that were started with this one, as the terminal would send it. */
  #suspend(): void {
    this.#restore();
    process.kill(0, "SIGTSTP");
    this.#continued(); // here too where nobody can stop: no shell has started this process
  }

  /** In the foreground again, where the terminal may have been anything meanwhile. */
  readonly #continued = () => {
    if (this.#isClosed) return;
    process.stdin.setRawMode(false);
    process.stdin.setRawMode(true);
    if (this.#canErase) process.stdout.write(PASTE_ON);
    if (this.#waiting !== undefined) this.#editor.prompt(true);
  };

  readonly #restore = () => {
    if (this.#canErase) process.stdout.write(PASTE_OFF);
    process.stdin.setRawMode(false);
  };
}

function interrupted(): QuipuError {
  return new QuipuError("ERR_ABORTED", "interrupted");
}

/** Length of the longest end of `text` that is a beginning of `marker`; an escape key alone is none. */
function openEnd(text: string, marker: string): number {
  for (let length = Math.min(marker.length - 1, text.length); length > 1; length--) {
    if (text.endsWith(marker.slice(0, length))) return length;
  }
  return 0;
}
