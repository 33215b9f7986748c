// The scheduler: the only caller of the runtime. It admits sequences, decides which rows a step holds, keeps two steps in
// flight, or as many short ones as take four milliseconds, and hands out what comes of them.
//
// A step has a row for each sequence that decodes, and rows of the first prompts: as many as fit while nobody decodes, else as
// many as about double the step. A decoding row names its slot alone, so that a step is queued before the ids of the one before
// it are known. What can be foreseen (maxTokens, the context, pages) is decided before queueing; a stop id is seen by the device
// too (`advance`); a stop text or an abort is seen late, and what was computed for it is dropped.
import type { RunResult, Transfer } from "../device/device.js";
import { isQuipuError, QuipuError } from "../errors.js";
import { type PageCounts, type PageKeeper, PagePool } from "../model/page-pool.js";
import type { Row, Runtime, SampledRow } from "../model/runtime.js";
import { Sequence, type SequenceRequest } from "./sequence.js";
import { StepTimes } from "./step-times.js";
import { WaitingLine } from "./waiting-line.js";

/** One runs, the next one waits: the device goes from one to the other without the host. Steps that only decode may be more ({@link StepTimes.ahead}). */
const IN_FLIGHT = 2;

/** Rows of a step of logits: more are no faster, and their logits would take hundreds of megabytes. */
const SCORED_ROWS = 64;

export interface SchedulerOptions {
  /** Rows of prompts in one step. */
  readonly batchSize: number;
  /** Milliseconds that a request waits while nobody reads what those that run have said. */
  readonly slotTimeoutMs: number;
  /** Says more of an error of a step: which options would have had memory. Default: as it is. */
  readonly explained?: (error: unknown) => unknown;
}

export interface SchedulerStats {
  readonly running: number;
  readonly waiting: number;
  readonly pages: PageCounts;
  readonly rowsPerStep: number;
  readonly idleShare: number;
}

/** A sequence's part of a step. */
interface Part {
  readonly sequence: Sequence;
  /** Ids of its prompt in the step; 0: it decodes. */
  readonly promptRows: number;
  /** Where its prompt's positions end that are in the cache after the step. */
  readonly end: number;
  /** The place of its last row among the wanted ones, after which a token is sampled. */
  readonly wanted: number | undefined;
  /** What comes of it is dropped: it is computed again. */
  isStale: boolean;
}

/** What comes of a step. */
interface Landed extends RunResult {
  readonly sampled?: readonly SampledRow[];
}

/** Steps one after another for the same sequences: when these are over, all of them are ended at once. */
interface Group {
  readonly sequences: readonly Sequence[];
  readonly controller: AbortController;
}

interface Flight {
  readonly parts: readonly Part[];
  /** It only decodes. */
  readonly isShort: boolean;
  readonly group: Group;
}

export class Scheduler {
  readonly #runtime: Runtime;
  readonly #explained: (error: unknown) => unknown;
  readonly #batchSize: number;
  readonly #pool: PagePool;
  readonly #freeSlots: number[];
  readonly #waiting: WaitingLine;
  readonly #times = new StepTimes();
  #running: Sequence[] = []; // in the order of their coming
  readonly #flights: Flight[] = []; // in the order in which they were queued
  #longFlights = 0; // those of them that are not short
  #lastGroup: Group | undefined;
  #scoredLast = false;
  #awake = false;
  #closed = false;

  constructor(runtime: Runtime, { batchSize, slotTimeoutMs, explained = (error) => error }: SchedulerOptions) {
    this.#runtime = runtime;
    this.#explained = explained;
    this.#batchSize = batchSize;
    this.#pool = new PagePool(runtime.cache.pages);
    this.#freeSlots = Array.from({ length: runtime.cache.slots }, (_, i) => runtime.cache.slots - 1 - i);
    this.#waiting = new WaitingLine(slotTimeoutMs);
  }

  /** Puts a request in line. It is computed as its reader takes what comes of it; see {@link Sequence}. */
  submit(request: SequenceRequest): Sequence {
    if (this.#closed) throw closedError();
    const sequence = new Sequence(request, {
      wake: (awake) => {
        if (awake.slot >= 0) this.#waiting.restart();
        this.#wake();
      },
      ended: (ended) => this.#ended(ended),
    });
    if (!sequence.over) this.#waiting.add(sequence);
    this.#wake();
    return sequence;
  }

  /** `keeper` is used no more: the pages that it alone remembers are free, or will be when its sequence is over. */
  closeKeeper(keeper: PageKeeper): void {
    this.#pool.close(keeper);
  }

  stats(): SchedulerStats {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      pages: this.#pool.counts(),
      rowsPerStep: this.#times.rowsPerStep,
      idleShare: this.#times.idleShare,
    };
  }

  /** Ends all sequences with ERR_DISPOSED, and refuses every later one. */
  close(): void {
    this.#closed = true;
    this.#waiting.endAll(closedError);
    for (const sequence of [...this.#running]) sequence.end(closedError());
    this.#waiting.watch([], false);
  }

  /** Plans when the present turn is over, so that all who come in it ride in one step. */
  #wake(): void {
    if (this.#awake || (!this.#mayQueue() && this.#waiting.length === 0)) return;
    this.#awake = true;
    void Promise.resolve().then(() => {
      this.#awake = false;
      this.#advance();
    });
  }

  #advance(): void {
    if (this.#closed) return;
    this.#admit();
    // No more in a turn than the device needs to go on: who waits for the first token would wait for all to be queued.
    for (let queued = 0; queued < IN_FLIGHT && this.#mayQueue() && this.#queueStep(); queued++) {}
    this.#waiting.watch(this.#running, this.#freeSlots.length > 0);
  }

  #mayQueue(): boolean {
    const { length } = this.#flights;
    return length < IN_FLIGHT || (length < this.#times.ahead && this.#longFlights === 0);
  }

  /** Who is first in line comes first: a small request never passes a large one that waits for pages. */
  #admit(): void {
    for (;;) {
      const sequence = this.#waiting.first;
      if (sequence === undefined || this.#freeSlots.length === 0) return;
      const { request, sampling, positions } = sequence;
      const lease = this.#pool.reserve(request.ids, positions, sampling?.promptCache ?? false, request.keeper);
      if (lease === undefined) return;
      this.#waiting.remove(sequence);
      this.#running.push(sequence);
      this.#waiting.restart();
      sequence.slot = this.#freeSlots.pop()!;
      sequence.lease = lease;
      sequence.queuedIds = lease.cached;
      sequence.admittedAt = performance.now();
    }
  }

  /** Queues the next step; false where there is nothing to do. Steps of logits take turns with the others. */
  #queueStep(): boolean {
    if (this.#scoredLast) return this.#queueRows() || this.#queueLogits();
    return this.#queueLogits() || this.#queueRows();
  }

  #queueLogits(): boolean {
    const sequence = this.#running.find((each) => each.sampling === undefined && each.isPrompt);
    if (sequence === undefined) return false;
    const writes = this.#writesOf(sequence);
    const first = sequence.queuedIds;
    const rows = sequence.promptRows(Math.min(this.#batchSize, SCORED_ROWS));
    sequence.queuedIds += rows.length;
    const part = { sequence, promptRows: rows.length, end: sequence.queuedIds, wanted: undefined, isStale: false };
    const { vocabSize } = this.#runtime.config;
    const logits = (sequence.request.wanted as Float32Array).subarray(first * vocabSize, part.end * vocabSize);
    this.#scoredLast = true;
    this.#launch([part], (signal) => this.#runtime.logits(rows, [...rows.keys()], logits, { writes, signal }));
    return true;
  }

  #queueRows(): boolean {
    const rows: Row[] = [];
    const wanted: number[] = [];
    const parts: Part[] = [];
    const writes: Transfer[] = [];
    const bests: number[] = [];
    /** The last row is wanted: its place among those that are. */
    const samples = (sequence: Sequence): number => {
      bests.push(sequence.sampling!.best);
      sequence.queuedTokens += 1;
      return wanted.push(rows.length - 1) - 1;
    };
    // Looked at before anything is queued: a sequence has its prompt's last row and its first token's in two steps.
    const { ahead } = this.#times;
    const decoding = this.#running.filter((sequence) => sequence.mayDecode(ahead));
    const prompts = this.#running.filter(({ sampling, isPrompt }) => sampling !== undefined && isPrompt);
    const beside = this.#running.some((sequence) => sequence.isDecoding(ahead));
    let room = beside ? Math.min(this.#batchSize, this.#times.promptRows()) : this.#batchSize;
    for (const sequence of decoding) {
      rows.push({ slot: sequence.slot });
      const end = sequence.request.ids.length;
      parts.push({ sequence, promptRows: 0, end, wanted: samples(sequence), isStale: false });
    }
    for (const sequence of prompts) {
      if (room === 0) break;
      writes.push(...this.#writesOf(sequence));
      const next = sequence.promptRows(room);
      room -= next.length;
      rows.push(...next);
      sequence.queuedIds += next.length;
      const last = sequence.isPrompt ? undefined : samples(sequence);
      parts.push({ sequence, promptRows: next.length, end: sequence.queuedIds, wanted: last, isStale: false });
    }
    if (rows.length === 0) return false;
    this.#scoredLast = false;
    this.#launch(parts, (signal) =>
      wanted.length === 0
        ? this.#runtime.fill(rows, { writes, signal })
        : this.#runtime.sample(rows, wanted, bests, { writes, signal }),
    );
    return true;
  }

  /** What must be written before the first step of a sequence; nothing before later ones. */
  #writesOf({ slot, lease, queuedIds, request, sampling }: Sequence): Transfer[] {
    if (queuedIds > lease!.cached) return [];
    const { ids: prompt } = request;
    return this.#runtime.begin(slot, lease!.pages, sampling && { ...sampling, prompt });
  }

  #launch(parts: readonly Part[], run: (signal: AbortSignal) => Promise<Landed>): void {
    const isShort = parts.every(({ promptRows }) => promptRows === 0);
    const flight: Flight = { parts, isShort, group: this.#groupOf(parts) };
    for (const { sequence } of parts) sequence.inFlight += 1;
    this.#flights.push(flight);
    if (!isShort) this.#longFlights += 1;
    run(flight.group.controller.signal).then(
      (landed) => {
        this.#observe(parts, landed);
        this.#land(flight, (part) => this.#done(part, landed.sampled?.[part.wanted ?? -1]));
      },
      (error: unknown) => this.#fail(flight, error),
    );
  }

  #groupOf(parts: readonly Part[]): Group {
    const last = this.#lastGroup;
    const isSame =
      last?.sequences.length === parts.length && parts.every(({ sequence }, i) => sequence === last.sequences[i]);
    if (last !== undefined && isSame) return last;
    this.#lastGroup = { sequences: parts.map(({ sequence }) => sequence), controller: new AbortController() };
    return this.#lastGroup;
  }

  /**
   * A step whose memory was refused has not run. The sequence that came last has made it larger than those before: it ends, and the
   * others try again without it. What else goes wrong is of all.
   */
  #fail(flight: Flight, error: unknown): void {
    const isRefused = isQuipuError(error) && error.code === "ERR_OUT_OF_MEMORY";
    const last = flight.parts.at(-1);
    const later = this.#flights.slice(this.#flights.indexOf(flight) + 1).flatMap(({ parts }) => parts);
    this.#land(flight, (part) => {
      if (isRefused && part !== last) takeBack(part, later);
      else part.sequence.finish(this.#explained(error));
    });
  }

  #land(flight: Flight, each: (part: Part) => void): void {
    this.#flights.splice(this.#flights.indexOf(flight), 1); // most often the first
    if (!flight.isShort) this.#longFlights -= 1;
    for (const part of flight.parts) part.sequence.inFlight -= 1;
    for (const part of flight.parts) if (!part.sequence.over && !part.isStale) each(part);
    for (const { sequence } of flight.parts) this.#release(sequence);
    this.#advance();
  }

  #done({ sequence, promptRows, end }: Part, sampled: SampledRow | undefined): void {
    if (sampled === "ended" || isQuipuError(sampled)) {
      const early = () => new QuipuError("ERR_INTERNAL", "a slot ended before its sequence");
      sequence.finish(sampled === "ended" ? early() : sampled);
      return;
    }
    sequence.filled(promptRows > 0 ? end : sequence.length);
    const { request } = sequence;
    if (sampled !== undefined) {
      sequence.deliver(sampled);
    } else if (end === request.ids.length) {
      sequence.finish(); // all its logits are there
    } else {
      try {
        request.onPromptProgress?.(end, request.ids.length);
      } catch (error) {
        sequence.finish(error); // the callback's
      }
    }
  }

  #observe(parts: readonly Part[], { started, ended, idle }: RunResult): void {
    const promptRows = parts.reduce((sum, part) => sum + part.promptRows, 0);
    const decodeRows = parts.filter((part) => part.promptRows === 0).length;
    const withLogits = parts[0]!.sequence.sampling === undefined;
    this.#times.observe({ promptRows, decodeRows, withLogits, started, ended, idle });
  }

  /** What was computed for it is dropped; a step that is for nobody else is ended. */
  #ended(sequence: Sequence): void {
    this.#waiting.remove(sequence);
    this.#release(sequence);
    for (const { group } of this.#flights) {
      if (group.sequences.every(({ over }) => over)) group.controller.abort();
    }
    this.#wake();
  }

  /** Slot and pages are free when no step in flight names them. */
  #release(sequence: Sequence): void {
    const { lease, slot } = sequence;
    if (!sequence.over || sequence.inFlight > 0 || lease === undefined || slot < 0) return;
    sequence.slot = -1;
    this.#waiting.restart();
    lease.release();
    this.#freeSlots.push(slot);
    this.#running = this.#running.filter((other) => other !== sequence);
    if (this.#running.length > 0) return;
    this.#times.pause();
    this.#lastGroup = undefined; // which holds on to requests that are over
  }
}

/** Has a part computed anew, of a step that did not run. What steps `later` than that make of its prompt lacks these keys. */
function takeBack({ sequence, promptRows, end }: Part, later: readonly Part[]): void {
  if (promptRows === 0) {
    sequence.queuedTokens -= 1; // the next step samples the same token
    return;
  }
  sequence.queuedIds = end - promptRows;
  sequence.queuedTokens = 0;
  for (const part of later) if (part.sequence === sequence) part.isStale = true;
}

function closedError(): QuipuError {
  return new QuipuError("ERR_DISPOSED", "the model is disposed");
}
