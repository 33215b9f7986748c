// matmul for many rows of activations (a prompt chunk): weight rows across the lanes, register tiles of kPanelRows
// weight rows × kPanelColumns activation rows. 2 T N K flops: bound by arithmetic.
//
// The sixteen lanes of docs/numerics.md are here sixteen chains, one after another, of all k of a block with the same
// k mod 16. Chains go in the bit-reversed order 0 8 4 12 2 …: then the halving tree is a stack of at most four tiles of
// partial sums, merged as a binary counter carries.
//
//   shared    the activations, packed in a phase of their own: [block][tile of columns][chain][step][column]
//   scratch   the weight panels of a task, widened: [panel][chain][step][kPanelRows]
//
// A step is 16 k; k past the end counts as +0 × +0. A task is 1 … kPanelsPerTask panels: the activations of a tile
// (24 kB) stay in L1 for all of them, the panels (64 kB each) in L2 for all tiles.

static constexpr bool kHasPanels = kWideRegisters >= 8;
static constexpr int kPanelVectors = kWideRegisters >= 32 ? 2 : 1;
static constexpr size_t kPanelRows = 16 * kPanelVectors;
static constexpr int kPanelColumns = kWideRegisters >= 32 ? 12 : 6;
static constexpr size_t kPanelsPerTask = 4;

static constexpr uint8_t kChainOfLane[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};

QUIPU_INLINE size_t atMost(size_t value, size_t bound) { return value < bound ? value : bound; }
QUIPU_INLINE size_t stepsOf(size_t begin, size_t depth) { return (atMost(depth - begin, kBlock) + 15) / 16; }

// Columns are cut into tiles of nearly equal width, so that no tile is left with one or two.
struct Tiling {
  size_t columns, tiles;
  size_t begin(size_t tile) const { return tile * columns / tiles; }
};

QUIPU_INLINE Tiling tilingOf(size_t columns) { return {columns, (columns + kPanelColumns - 1) / kPanelColumns}; }

// Packs activation rows [first, last) of the k in [begin, depth) that are in one block.
static void packColumns(const float* a, size_t first, size_t last, size_t begin, size_t depth, float* packed) {
  const size_t steps = stepsOf(begin, depth), width = last - first;
  for (size_t step = 0; step < steps; ++step) {
    const size_t k = begin + step * 16, n = atMost(depth - k, 16);
    f32x16 lanes[16];
#pragma GCC unroll 16
    for (size_t c = 0; c < 16; ++c) {
      lanes[c] =
          c < width ? (n == 16 ? load(a + (first + c) * depth + k) : loadPart(a + (first + c) * depth + k, n)) : zero();
    }
    transpose(lanes);
    // A whole store runs over into the next steps of the chain, which are written later.
    const bool whole = (steps - step) * width >= 16;
#pragma GCC unroll 16
    for (size_t lane = 0; lane < 16; ++lane) {
      float* to = packed + (kChainOfLane[lane] * steps + step) * width;
      if (whole) {
        store(to, lanes[lane]);
      } else {
        storePart(to, lanes[lane], width);
      }
    }
  }
}

// Packs up to kPanelRows weight rows, zeros for rows past the end.
template <typename E>
static void packPanel(const E* b, size_t firstRow, size_t rowCount, size_t begin, size_t depth, float* packed) {
  const size_t steps = stepsOf(begin, depth);
  for (int v = 0; v < kPanelVectors; ++v) {
    const size_t row = firstRow + v * 16, valid = row < rowCount ? atMost(rowCount - row, 16) : 0;
    for (size_t step = 0; step < steps; ++step) {
      const size_t k = begin + step * 16, n = atMost(depth - k, 16);
      f32x16 lanes[16];
      if (valid == 16 && n == 16) {
#pragma GCC unroll 16
        for (size_t r = 0; r < 16; ++r) lanes[r] = loadWide(b + (row + r) * depth + k);
      } else {
        for (size_t r = 0; r < 16; ++r) lanes[r] = r < valid ? loadWidePart(b + (row + r) * depth + k, n) : zero();
      }
      transpose(lanes);
#pragma GCC unroll 16
      for (size_t lane = 0; lane < 16; ++lane) {
        store(packed + (kChainOfLane[lane] * steps + step) * kPanelRows + v * 16, lanes[lane]);
      }
    }
  }
}

// Stores or adds the sums of a tile, of which so many of each column count.
template <int kColumns>
QUIPU_INLINE void storeTile(const f32x16 (&tile)[kColumns][kPanelVectors], float* out, size_t pitch, size_t valid,
                            bool adds) {
#pragma GCC unroll 16
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      float* to = out + c * pitch + v * 16;
      const size_t n = valid > size_t(v) * 16 ? atMost(valid - v * 16, 16) : 0;
      if (n == 16) {
        store(to, adds ? add(load(to), tile[c][v]) : tile[c][v]);
      } else {
        storePart(to, adds ? add(loadPart(to, n), tile[c][v]) : tile[c][v], n);
      }
    }
  }
}

// One tile: the sums of a block for kPanelRows × kColumns results, stored to or added to out[column][row].
template <int kColumns>
static void panelTile(const float* panel, const float* columns, size_t steps, float* out, size_t pitch,
                      size_t validRows, bool first) {
  f32x16 stack[4][kColumns][kPanelVectors];
  int height = 0;
  f32x16 tile[kColumns][kPanelVectors];
  for (uint32_t chain = 0; chain < 16; ++chain) {
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) tile[c][v] = zero();
    }
    for (size_t step = 0; step < steps; ++step) {
      f32x16 weights[kPanelVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) weights[v] = load(panel + v * 16);
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c) {
        const f32x16 x = broadcast(columns[c]);
#pragma GCC unroll 4
        for (int v = 0; v < kPanelVectors; ++v) tile[c][v] = fma(x, weights[v], tile[c][v]);
      }
      panel += kPanelRows;
      columns += kColumns;
    }
    for (uint32_t carry = chain; carry & 1; carry >>= 1) {
      --height;
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
        for (int v = 0; v < kPanelVectors; ++v) tile[c][v] = add(stack[height][c][v], tile[c][v]);
      }
    }
    if (chain == 15) break;
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) stack[height][c][v] = tile[c][v];
    }
    ++height;
  }
  storeTile<kColumns>(tile, out, pitch, validRows, !first);
}

using PanelTile = void (*)(const float*, const float*, size_t, float*, size_t, size_t, bool);

template <int kColumns>
static constexpr void fillPanelTiles(PanelTile* tiles) {
  tiles[kColumns] = panelTile<kColumns>;
  if constexpr (kColumns > 1) fillPanelTiles<kColumns - 1>(tiles);
}

struct PanelTiles {
  PanelTile ofWidth[kPanelColumns + 1] = {};
  constexpr PanelTiles() { fillPanelTiles<kPanelColumns>(ofWidth); }
};

// Tasks of packing `columns` activation rows, and one of them.
QUIPU_INLINE size_t packTasks(size_t columns, size_t depth) {
  return (depth + kBlock - 1) / kBlock * tilingOf(columns).tiles;
}

// Calls pack(first, last, begin, to) with the columns and the block of a task.
template <typename Pack>
QUIPU_INLINE void packTile(size_t columns, size_t depth, size_t task, float* packed, Pack pack) {
  const Tiling tiling = tilingOf(columns);
  const size_t begin = task / tiling.tiles * kBlock, tile = task % tiling.tiles, first = tiling.begin(tile);
  pack(first, tiling.begin(tile + 1), begin, packed + begin * columns + first * stepsOf(begin, depth) * 16);
}

QUIPU_INLINE void packActivations(const float* a, size_t columns, size_t depth, size_t task, float* packed) {
  packTile(columns, depth, task, packed,
           [&](size_t first, size_t last, size_t begin, float* to) { packColumns(a, first, last, begin, depth, to); });
}

// At least four tasks a thread.
QUIPU_INLINE Shares panelShares(size_t rowCount, uint32_t threads) {
  const size_t panels = (rowCount + kPanelRows - 1) / kPanelRows, balanced = panels / (size_t(threads) * 4);
  const size_t perTask = balanced < 1 ? 1 : atMost(balanced, kPanelsPerTask);
  return {rowCount, kPanelRows, perTask, perTask, threads};
}

// Weight rows [first, last), at most kPanelsPerTask panels, against the packed activations: sums[column · pitch
// + row − first]. Calls pack(row, begin, to) for the panel that begins with a row, of the block of
// k that begins there, and finish(first column, end, first, last) when the sums of a tile's columns are whole: behind
// all panels, as runs of one panel's rows made prompts a percent slower.
template <typename Pack, typename Finish>
static void panelRows(const float* packed, size_t columns, size_t depth, Pack pack, size_t first, size_t last,
                      float* panels, float* sums, size_t pitch, Finish finish) {
  static constexpr PanelTiles kTiles;
  const Tiling tiling = tilingOf(columns);
  for (size_t begin = 0; begin < depth; begin += kBlock) {
    const size_t steps = stepsOf(begin, depth);
    for (size_t row = first; row < last; row += kPanelRows) {
      pack(row, begin, panels + (row - first) * kBlock);
    }
    for (size_t tile = 0; tile < tiling.tiles; ++tile) {
      const size_t column = tiling.begin(tile), end = tiling.begin(tile + 1);
      for (size_t row = first; row < last; row += kPanelRows) {
        kTiles.ofWidth[end - column](panels + (row - first) * kBlock, packed + begin * columns + column * steps * 16,
                                     steps, sums + column * pitch + row - first, pitch, last - row, begin == 0);
      }
      if (begin + kBlock >= depth) finish(column, end, first, last);
    }
  }
}

static constexpr size_t kPanelScratchBytes = kPanelsPerTask * kPanelRows * kBlock * sizeof(float);

QUIPU_INLINE size_t packedBytes(size_t columns, size_t depth) {
  return columns * ((depth + 15) / 16 * 16) * sizeof(float);
}
