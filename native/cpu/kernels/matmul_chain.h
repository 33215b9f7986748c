// Products of gradients (matmul_plain.h, matmul_over_rows.h): out[r, w] = Σ_k left[r, k] · right[k, w], in blocks of
// kChainBlock k, each one chain of fma (docs/numerics.md). right lies as it is across the lanes, so nothing is lost to
// partial sums, as it is in matmul, whose weights may be read one row at a time. 2 R W K flops: bound by arithmetic.
//
//   shared    left packed in tiles of rows, [block][tile][k][row], then right in panels, [block][panel][k][kPanelRows]
//   scratch   panels, where a task packs its own
//
// A side that lies k after k is used as it is where its rows are short (kInPlaceBytes): then it is about as near.
//
// A tile is 12 kB, and stays in L1 for all panels of a task; those are 32 kB each, and stay in L2 for all of its tiles.
// So a task has some panels and some tiles, and goes through k block after block.

static constexpr size_t kChainBlock = 256;
static constexpr size_t kRunPanels = 8;  // of a task
// k that are fetched ahead: they lie so far apart that the hardware does not see them.
static constexpr size_t kPackAhead = 16;
static constexpr size_t kPackTiles = 8;                   // of a task of packing
static constexpr size_t kChainTasks = 8;                  // a thread, where there are as many
static constexpr size_t kTaskProducts = size_t{1} << 27;  // multiply-adds of a task, above which there are more

// Of a row of a side up to which it is not packed.
static constexpr size_t kInPlaceBytes = 256;

struct ChainShape {
  size_t rows, width, depth;
  bool byColumns;  // left lies k after k, else row by row
  bool packsOnce;  // right, for all rows; else each task packs its own panels

  bool leftInPlace() const { return byColumns && rows * sizeof(float) <= kInPlaceBytes; }
  bool rightInPlace() const { return width % kPanelRows == 0 && width * sizeof(float) <= kInPlaceBytes; }
  Tiling tiling() const { return tilingOf(rows); }
  size_t blocks() const { return (depth + kChainBlock - 1) / kChainBlock; }
  size_t panels() const { return (width + kPanelRows - 1) / kPanelRows; }
  size_t leftFloats() const { return leftInPlace() ? 0 : (rows * depth + 15) / 16 * 16; }
  size_t sharedBytes() const {
    return (leftFloats() + (packsOnce && !rightInPlace() ? panels() * kPanelRows * depth : 0)) * sizeof(float);
  }

  // Runs of panels, each of nearly as many, and of tiles.
  size_t panelRuns(uint32_t threads) const {
    const size_t least = (panels() + kRunPanels - 1) / kRunPanels;
    return packsOnce ? least : atMost(least > 4 * threads ? least : 4 * threads, panels());
  }
  size_t tileRuns(uint32_t threads) const {
    if (!packsOnce) return 1;
    const size_t wanted = kChainTasks * threads, large = rows * width * depth / kTaskProducts;
    const size_t runs = panelRuns(threads);
    return atMost(((large > wanted ? large : wanted) + runs - 1) / runs, tiling().tiles);
  }
  size_t tasks(uint32_t threads) const {
    return rows * width * depth == 0 ? 0 : panelRuns(threads) * tileRuns(threads);
  }

  size_t leftGroups() const { return leftInPlace() ? 0 : (tiling().tiles + kPackTiles - 1) / kPackTiles; }
  size_t rightGroups() const { return packsOnce && !rightInPlace() ? (panels() + kPackTiles - 1) / kPackTiles : 0; }
  size_t packTasks() const { return blocks() * (leftGroups() + rightGroups()); }
};

QUIPU_INLINE size_t chainLength(size_t begin, size_t depth) { return atMost(depth - begin, kChainBlock); }

// Rows [first, last) of a left side that lies row by row, k of [begin, begin + count).
static void packRows(const float* left, size_t pitch, size_t first, size_t last, size_t begin, size_t count,
                     float* packed) {
  const size_t width = last - first;
  for (size_t k = 0; k < count; k += 16) {
    const size_t n = atMost(count - k, 16);
    f32x16 lanes[16];
#pragma GCC unroll 16
    for (size_t r = 0; r < 16; ++r) {
      lanes[r] = r < width ? loadFirst(left + (first + r) * pitch + begin + k, n) : zero();
    }
    transpose(lanes);
    if (n == 16 && (count - k - 15) * width >= 16) {  // a whole store runs over into what is written later
#pragma GCC unroll 16
      for (size_t lane = 0; lane < 16; ++lane) store(packed + (k + lane) * width, lanes[lane]);
    } else {
      for (size_t lane = 0; lane < n; ++lane) storePart(packed + (k + lane) * width, lanes[lane], width);
    }
  }
}

// The same of one that lies k after k, `depth` of them.
static void packColumnsOf(const float* left, size_t pitch, size_t first, size_t last, size_t begin, size_t count,
                          size_t depth, float* packed) {
  const size_t width = last - first;
  for (size_t k = 0; k < count; ++k) {
    const float* from = left + (begin + k) * pitch + first;
    __builtin_prefetch(from + kPackAhead * pitch);
    float* to = packed + k * width;
    if ((count - k) * width >= 16 && begin + k + 16 < depth) {  // what lies behind the last column are the k behind
      store(to, load(from));
    } else {
      storePart(to, loadPart(from, width), width);
    }
  }
}

// Panels [first, last) of a right side, k of [begin, begin + count), zeros for columns past the end.
static void packPanels(const float* right, size_t width, size_t first, size_t last, size_t begin, size_t count,
                       float* packed) {
  for (size_t k = 0; k < count; ++k) {
    const float* from = right + (begin + k) * width;
    for (size_t panel = first; panel < last; ++panel) {
      float* to = packed + ((panel - first) * count + k) * kPanelRows;
      __builtin_prefetch(from + kPackAhead * width + panel * kPanelRows);
      for (int v = 0; v < kPanelVectors; ++v) {
        const size_t column = panel * kPanelRows + v * 16;
        store(to + v * 16, column < width ? loadFirst(from + column, atMost(width - column, 16)) : zero());
      }
    }
  }
}

// Where a side's k of a block lie, `pitch` floats one after another.
struct ChainSide {
  const float* at;
  size_t pitch;
};

// One tile: the sums of a block for kColumns rows and a panel, stored to or added to out[row][column].
template <int kColumns>
static void chainTile(ChainSide panel, ChainSide rows, size_t count, float* out, size_t pitch, size_t validColumns,
                      bool adds) {
  f32x16 tile[kColumns][kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kColumns; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      tile[r][v] = zero();
      __builtin_prefetch(out + r * pitch + v * 16, 1);
    }
  }
  for (size_t k = 0; k < count; ++k) {
    f32x16 columns[kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) columns[v] = load(panel.at + v * 16);
#pragma GCC unroll 16
    for (int r = 0; r < kColumns; ++r) {
      const f32x16 x = broadcast(rows.at[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) tile[r][v] = fma(x, columns[v], tile[r][v]);
    }
    panel.at += panel.pitch;
    rows.at += rows.pitch;
  }
  storeTile<kColumns>(tile, out, pitch, validColumns, adds);
}

using ChainTile = void (*)(ChainSide, ChainSide, size_t, float*, size_t, size_t, bool);

template <int kColumns>
static constexpr void fillChainTiles(ChainTile* tiles) {
  tiles[kColumns] = chainTile<kColumns>;
  if constexpr (kColumns > 1) fillChainTiles<kColumns - 1>(tiles);
}

struct ChainTiles {
  ChainTile ofHeight[kPanelColumns + 1] = {};
  constexpr ChainTiles() { fillChainTiles<kPanelColumns>(ofHeight); }
};

static constexpr size_t kChainScratchBytes = kRunPanels * kPanelRows * kChainBlock * sizeof(float);

// The first phase. Calls packLeft(first row, last, begin, count, to).
template <typename PackLeft>
QUIPU_INLINE void chainPack(const ChainShape& shape, const float* right, Worker& worker, PackLeft packLeft) {
  const Tiling tiling = shape.tiling();
  float* left = reinterpret_cast<float*>(worker.shared);
  float* panels = left + shape.leftFloats();
  const size_t ofLeft = shape.leftGroups(), ofBlock = ofLeft + shape.rightGroups();
  for (size_t task; worker.next(task);) {
    const size_t begin = task / ofBlock * kChainBlock, group = task % ofBlock, count = chainLength(begin, shape.depth);
    if (group < ofLeft) {
      for (size_t tile = group * kPackTiles; tile < atMost((group + 1) * kPackTiles, tiling.tiles); ++tile) {
        const size_t first = tiling.begin(tile);
        packLeft(first, tiling.begin(tile + 1), begin, count, left + begin * shape.rows + first * count);
      }
    } else {
      const size_t first = (group - ofLeft) * kPackTiles, last = atMost(first + kPackTiles, shape.panels());
      packPanels(right, shape.width, first, last, begin, count,
                 panels + (begin * shape.panels() + first * count) * kPanelRows);
    }
  }
}

// The second: out[row · width + column], added to what is there where `adds`.
static void chainRun(const ChainShape& shape, const float* left, const float* right, float* out, bool adds,
                     Worker& worker) {
  static constexpr ChainTiles kTiles;
  const Tiling tiling = shape.tiling();
  const float* packed = reinterpret_cast<const float*>(worker.shared);
  const size_t panelRuns = shape.panelRuns(worker.threads), tileRuns = shape.tileRuns(worker.threads);
  for (size_t task; worker.next(task);) {
    const size_t run = task / tileRuns, part = task % tileRuns;
    const size_t firstPanel = run * shape.panels() / panelRuns, lastPanel = (run + 1) * shape.panels() / panelRuns;
    const size_t firstTile = part * tiling.tiles / tileRuns, lastTile = (part + 1) * tiling.tiles / tileRuns;
    for (size_t begin = 0; begin < shape.depth; begin += kChainBlock) {
      const size_t count = chainLength(begin, shape.depth);
      ChainSide panels = {packed + shape.leftFloats() + (begin * shape.panels() + firstPanel * count) * kPanelRows,
                          kPanelRows};
      size_t panelFloats = count * kPanelRows;  // from a panel to the next
      if (shape.rightInPlace()) {
        panels = {right + begin * shape.width + firstPanel * kPanelRows, shape.width};
        panelFloats = kPanelRows;
      } else if (!shape.packsOnce) {
        float* own = reinterpret_cast<float*>(worker.scratch);
        packPanels(right, shape.width, firstPanel, lastPanel, begin, count, own);
        panels.at = own;
      }
      for (size_t tile = firstTile; tile < lastTile; ++tile) {
        const size_t row = tiling.begin(tile), height = tiling.begin(tile + 1) - row;
        const ChainSide rows = shape.leftInPlace() ? ChainSide{left + begin * shape.rows + row, shape.rows}
                                                   : ChainSide{packed + begin * shape.rows + row * count, height};
        for (size_t panel = firstPanel; panel < lastPanel; ++panel) {
          const size_t column = panel * kPanelRows;
          kTiles.ofHeight[height]({panels.at + (panel - firstPanel) * panelFloats, panels.pitch}, rows, count,
                                  out + row * shape.width + column, shape.width, shape.width - column,
                                  adds || begin > 0);
        }
      }
    }
  }
}
