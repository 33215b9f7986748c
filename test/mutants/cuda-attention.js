// Faults in the CUDA kernels of attention and the cache.
const ATTENTION = "native/cuda/kernels/attention.cu";
const CHUNK = "native/cuda/kernels/attention_chunk.h";
const TILE = "native/cuda/kernels/attention_tile.h";
const CACHE = "native/cuda/kernels/cache.h";

const attention = ["kernels/attention.test"];
const append = ["kernels/append-kv"];

export const mutants = [
  {
    fault: "a decoded row sees the key behind its own",
    file: ATTENTION,
    from: "const int32_t left = position + 1 - int32_t((firstBlock",
    to: "const int32_t left = position + (MUTANT ? 2 : 1) - int32_t((firstBlock",
    tests: attention,
  },
  {
    fault: "a prompt's row sees the key behind its own",
    file: ATTENTION,
    from: "positions[token] + 1 - key : 0;",
    to: "positions[token] + (MUTANT ? 2 : 1) - key : 0;",
    tests: attention,
  },
  {
    fault: "a prompt's rows take the keys of the slot before, too",
    file: ATTENTION,
    from: "const bool lowIn = lowThere && lowToken >= first && lowToken < next;",
    to: "const bool lowIn = lowThere && (lowToken >= first || MUTANT) && lowToken < next;",
    tests: attention,
  },
  {
    fault: "rows of one chunk are merged from what nobody has left",
    file: ATTENTION,
    from: "if (few && position < int32_t(kChunkKeys)) return;",
    to: "if (few && position < int32_t(kChunkKeys) && !(MUTANT)) return;",
    tests: attention,
  },
  {
    fault: "the last chunk is left out where a row ends with it",
    file: ATTENTION,
    from: "const uint32_t chunks = uint32_t(position) / kChunkKeys + 1;",
    to: "const uint32_t chunks = uint32_t(position) / kChunkKeys + (MUTANT && position % 256 == 0 ? 0 : 1);",
    tests: attention,
  },
  {
    fault: "what was summed so far is not scaled to the new greatest",
    file: CHUNK,
    from: "mass.sum = fmaf(mass.sum, before, next.sum * after);",
    to: "mass.sum = fmaf(mass.sum, MUTANT ? 1.0f : before, next.sum * after);",
    tests: attention,
  },
  {
    fault: "pairs of keys have their halves swapped",
    file: TILE,
    from: "pairs[2 * i] = __byte_perm(a[i], b[i], 0x5410);",
    to: "pairs[2 * i] = __byte_perm(a[i], b[i], MUTANT ? 0x1054 : 0x5410);",
    tests: attention,
  },
  {
    fault: "fragments of the queries are swapped",
    file: TILE,
    from: "fragments[step].words[1] = pairAt(high, c);",
    to: "fragments[step].words[1] = pairAt(high, MUTANT ? c + 8 : c);",
    tests: attention,
  },
  {
    fault: "a row's greatest score is that of half of its lanes",
    file: TILE,
    from: "return combine(value, __shfl_xor_sync(kEveryLane, value, 2));",
    to: "return combine(value, __shfl_xor_sync(kEveryLane, value, MUTANT ? 0 : 2));",
    tests: attention,
  },
  {
    fault: "values that no row sees are taken times 0",
    file: TILE,
    from: "if (int32_t(at) >= visible) return {0, 0, 0, 0};",
    to: "if (int32_t(at) >= visible && !(MUTANT)) return {0, 0, 0, 0};",
    tests: ["model/cuda", ...attention],
  },
  {
    fault: "features of a head are stored in another order",
    file: TILE,
    from: "lane % 4 * 16 + j % 8;",
    to: "lane % 4 * (MUTANT ? 8 : 16) + j % 8;",
    tests: attention,
  },
  {
    fault: "keys and values are fetched to places that are looked for elsewhere",
    file: TILE,
    from: "copyAsync16(valueAt(piece / inRow, piece % inRow),",
    to: "copyAsync16(valueAt(piece / inRow, MUTANT ? (piece + 1) % inRow : piece % inRow),",
    tests: attention,
  },
  {
    fault: "codes that are no four lie as if they were",
    file: CACHE,
    from: "c < size() / 4 * 4) return",
    to: "(c < size() / 4 * 4 || MUTANT)) return",
    tests: append,
  },
];
