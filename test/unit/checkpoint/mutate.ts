// Mutations of valid files, by seed: bytes flipped, cut or doubled; JSON numbers, names, types and structure changed.

/** Deterministic numbers in [0, n). */
export function random(seed: number): (n: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state % n;
  };
}

/** Changes the bytes of any file. `head`: where most of the changes go. */
export function mutateBytes(bytes: Uint8Array, seed: number, head = bytes.length): Uint8Array {
  const next = random(seed);
  let out = Buffer.from(bytes);
  for (let changes = 1 + next(4); changes > 0; changes--) {
    const at = next(next(8) === 0 ? out.length : Math.min(head, out.length));
    switch (next(6)) {
      case 0:
        out[at] = out[at]! ^ (1 << next(8));
        break;
      case 1:
        out[at] = next(256);
        break;
      case 2:
        out = Buffer.from(out.subarray(0, at));
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + 1 + next(16)))]);
        break;
      case 4:
        out = Buffer.concat([out.subarray(0, at), Buffer.from(out.subarray(at, at + 1 + next(16))), out.subarray(at)]);
        break;
      default:
        out = Buffer.concat([out, Buffer.alloc(next(64), next(256))]);
    }
    if (out.length === 0) break;
  }
  return out;
}

const VALUES: readonly unknown[] = [
  0,
  -1,
  1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 - 1,
  null,
  true,
  "",
  "F32",
  "BF16",
  "I64",
  [],
  {},
  [0],
  [1, 2, 3],
];

/** Changes one to three places of a JSON value: a number nudged or replaced, a name or an entry changed, dropped or doubled. */
export function mutateJson(json: unknown, seed: number): unknown {
  const next = random(seed);
  let out = structuredClone(json);
  for (let changes = 1 + next(3); changes > 0; changes--) out = change(out, next, 0);
  return out;
}

function change(value: unknown, next: (n: number) => number, depth: number): unknown {
  if (Array.isArray(value) && value.length > 0 && next(8) > 0) {
    const list = [...value];
    const at = next(list.length);
    const kind = next(6);
    if (kind === 0) list.splice(at, 1);
    else if (kind === 1) list.splice(at, 0, list[at]);
    else list[at] = change(list[at], next, depth + 1);
    return list;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value) && (depth === 0 || next(8) > 0)) {
    const entries = Object.entries(value);
    if (entries.length === 0) return value;
    const at = next(entries.length);
    const [name, entry] = entries[at]!;
    const kind = next(8);
    if (kind === 0) entries.splice(at, 1);
    else if (kind === 1) entries[at] = [`${name}x`, entry];
    else if (kind === 2) entries[at] = [name, entries[next(entries.length)]![1]];
    else entries[at] = [name, change(entry, next, depth + 1)];
    return Object.fromEntries(entries);
  }
  if (typeof value === "number" && next(2) === 0) return value + [1, -1, 4, -4, 8, 64, 2 ** 31, 2 ** 32][next(8)]!;
  return VALUES[next(VALUES.length)];
}
