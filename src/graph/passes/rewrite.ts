// How a pass makes a new recording: it walks the old one and records anew. A rule that matches at the last op of a pattern
// has one op recorded there, behind what that needs prepared, that yields what the pattern's last op yields; everything else
// is copied; what nobody reads any more is left out. So the new list is in order by construction, and the recorder checks it as it checks a model.
import type { OpName } from "../ops.js";
import { Recorder } from "../recorder.js";
import { type RecordedOp, Recording, type Value } from "../recording.js";

/** An op that is recorded before one that reads its result, `out`: once for the same operands, as long as the ops are of one region. */
export interface Step {
  readonly op: OpName;
  readonly operands: Readonly<Record<string, Value>>;
}

/** An op with operands of the recording that is walked, or steps of them; its results are those of the op that it takes the place of, by name, and `yields`. */
export interface Replacement {
  readonly op: OpName;
  readonly operands: Readonly<Record<string, Value | Step>>;
  readonly attributes?: Readonly<Record<string, number>>;
  /** Letters that only its results have. */
  readonly given?: Readonly<Record<string, number>>;
  /** Results that take the place of values which the pattern makes before its last op. */
  readonly yields?: Readonly<Record<string, Value>>;
}

/** What takes the place of `op` and of all that only it reads, if the rule has anything to say. */
export type Rule = (op: RecordedOp, recording: Recording) => Replacement | undefined;

/** `recording` anew, with the first of `rules` that matches at an op. */
export function rewrite(recording: Recording, rules: readonly Rule[]): Recording {
  const r = new Recorder({ capacity: recording.capacity });
  const anew = new Map<number, Value>();
  // State as the run finds it comes first: a version is older than every other that is made later.
  for (const { operands } of recording.ops) {
    for (const value of Object.values(operands)) {
      if (value.tensor !== undefined && recording.producer(value) === undefined)
        anew.set(value.id, r.input(value.tensor, value.leading));
    }
  }
  const copies = (values: Readonly<Record<string, Value>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, anew.get(value.id)!]));

  /** Results of steps of the region that is walked: those of the one before need no memory any more. */
  const steps = new Map<string, Value>();
  let walked = "";
  const recorded = (region: string, { op, operands }: Step): Value => {
    if (region !== walked) steps.clear();
    walked = region;
    const key = [op, ...Object.values(operands).map(({ id }) => id)].join(" ");
    const made = steps.get(key) ?? r.record(op, copies(operands)).out!;
    steps.set(key, made);
    return made;
  };

  /** The first replacement that may still read its operands here, recorded. */
  const replaced = (op: RecordedOp) => {
    for (const rule of rules) {
      const replacement = rule(op, recording);
      if (replacement === undefined || !valuesOf(replacement).every(({ id }) => r.isCurrent(anew.get(id)!))) continue;
      const { attributes, given, yields = {} } = replacement;
      const results = r.region(op.region, () => {
        const operands = Object.entries(replacement.operands).map(([name, operand]) => [
          name,
          "op" in operand ? recorded(op.region, operand) : anew.get(operand.id)!,
        ]);
        return r.record(replacement.op, Object.fromEntries(operands), attributes, given);
      });
      for (const [name, { id }] of Object.entries(yields)) anew.set(id, results[name]!);
      return results;
    }
    return undefined;
  };
  for (const op of recording.ops) {
    const results = replaced(op) ?? r.copy(op, copies(op.operands));
    for (const [name, value] of Object.entries(op.results)) anew.set(value.id, results[name]!);
  }
  for (const value of recording.outputs) r.output(anew.get(value.id) ?? r.input(value.tensor!, value.leading));
  return withoutUnread(r.finish());
}

/** All that a replacement reads of the recording that is walked. */
function valuesOf({ operands }: Replacement): Value[] {
  return Object.values(operands).flatMap((operand) => ("op" in operand ? Object.values(operand.operands) : [operand]));
}

/** Leaves out ops that write no state and whose results nobody reads. */
function withoutUnread(recording: Recording): Recording {
  const read = new Set(recording.outputs.map(({ id }) => id));
  const kept = recording.ops.toReversed().filter(({ operands, results }) => {
    const made = Object.values(results);
    if (!made.some(({ id, tensor }) => tensor !== undefined || read.has(id))) return false;
    for (const { id } of Object.values(operands)) read.add(id);
    return true;
  });
  return new Recording(kept.reverse(), recording.outputs, recording.capacity);
}
