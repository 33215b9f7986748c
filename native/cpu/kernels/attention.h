// attention: causal grouped-query attention (arXiv:2305.13245) of each row over its slot's keys 0 … position, in one
// pass with an online softmax over pages (arXiv:2205.14135), in the order of docs/numerics.md.
//
// 4 d flops a query head and visible key, and 8 d bytes (f32 cache) a key/value head and key for all queries that share
// the page: a prompt is bound by arithmetic, a decode step by memory. Two ways to share the work, with the same bits:
//
//   rows    a task is a key/value head and a run of adjacent rows; it walks the pages and merges them as it goes.
//   pages   few rows (a decode step): a task is a key/value head, a row and some pages, and leaves each page's result
//           in the workspace; a task of the second phase is a query head of a row and merges its pages, in order.

// Pages are shared out where rows would make too few tasks for the threads. Where they make enough, results by page are
// a detour: on two threads of Zen 5 steps of 8 heads, 4 queries each, take 1.1 (a row) to 1.4 times as long by it (8
// rows of 2048 keys, f16). A row of 3 heads, which two threads cannot share, takes 0.85 times as long.
static constexpr size_t kSplitTasks = 4;  // tasks a thread below which pages are shared out
// Rows × key/value heads up to which there is workspace for it.
static constexpr size_t kSplitUnits = 64;
// Of a task. One is up to a tenth slower than 4, 8 and 16 are within 3 % of it: more threads are better served by few.
static constexpr size_t kSplitPages = 4;

struct AttentionShape {
  size_t rows, width, heads, size, group, blocks;
  float scale;

  // Rows of a task: as many as make some 48 queries, so that pages are loaded seldom and tasks stay short.
  size_t runRows() const { return group >= 48 ? 1 : 48 / group; }
  size_t runs() const { return (rows + runRows() - 1) / runRows(); }
  bool splitsPages(uint32_t threads) const {
    return rows * heads <= kSplitUnits && runs() * heads < kSplitTasks * threads;
  }
  // Floats of a page's result: maximum, sum, then out [d], kept to whole cache lines.
  size_t partial() const { return (2 + size + 15) / 16 * 16; }
};

QUIPU_INLINE AttentionShape attentionShape(const OpCall& call) {
  const View &q = call[attention::kQ], &keys = call[attention::kKeys];
  AttentionShape shape = {};
  shape.rows = q.dims[0];
  shape.width = q.dims[1];
  shape.heads = keys.dims[1];
  shape.size = keys.dims[2];
  shape.group = shape.width / (shape.heads * shape.size);
  shape.blocks = call[attention::kPageTable].dims[1];
  shape.scale = call.floatAttribute(attention::kScale);
  return shape;
}

QUIPU_INLINE CachePlaces attentionPlaces(const OpCall& call) {
  return placesOf(call[attention::kSlots], call[attention::kPositions], call[attention::kPageTable],
                  call[attention::kKeys]);
}

template <typename E>
QUIPU_INLINE Page<E> pageOf(const OpCall& call, const AttentionShape& shape, size_t page, size_t head) {
  const size_t unit = page * shape.heads + head;
  Page<E> at = {call[attention::kKeys].as<const E>() + unit * shape.size * kPageKeys,
                call[attention::kValues].as<const E>() + unit * shape.size * kPageKeys, nullptr, nullptr};
  if constexpr (sizeof(E) == 1) {
    at.keyScales = call[attention::kKeyScales].as<const float>() + unit * kPageKeys;
    at.valueScales = call[attention::kValueScales].as<const float>() + unit * kPageKeys;
  }
  return at;
}

// What a query has gathered from the pages so far.
struct Merged {
  float maximum, sum;
  float* out;  // [d]
};

// Joins the next page to what came before it.
QUIPU_INLINE void mergePage(Merged& merged, float maximum, float sum, const float* out, size_t size) {
  const float greatest = merged.maximum > maximum ? merged.maximum : maximum;
  alignas(64) float factors[16] = {merged.maximum - greatest, maximum - greatest};
  store(factors, exp(load(factors)));
  const f32x16 before = broadcast(factors[0]), now = broadcast(factors[1]);
  merged.sum = __builtin_fmaf(merged.sum, factors[0], sum * factors[1]);
  merged.maximum = greatest;
  size_t c = 0;
  for (; c + 16 <= size; c += 16) store(merged.out + c, fma(load(merged.out + c), before, mul(load(out + c), now)));
  if (const size_t n = size - c; n > 0) {
    storePart(merged.out + c, fma(loadPart(merged.out + c, n), before, mul(loadPart(out + c, n), now)), n);
  }
}

QUIPU_INLINE void finish(const Merged& merged, float* out, size_t size) {
  const f32x16 sum = broadcast(merged.sum);
  size_t c = 0;
  for (; c + 16 <= size; c += 16) store(out + c, div(load(merged.out + c), sum));
  if (c < size) storePart(out + c, div(loadPart(merged.out + c, size - c), sum), size - c);
}

QUIPU_INLINE void clear(float* values, size_t count) { __builtin_memset(values, 0, count * sizeof(float)); }

QUIPU_INLINE uint32_t visibleKeys(uint32_t position, size_t block) {
  const size_t keys = position + 1 - block * kPageKeys;
  return uint32_t(keys < kPageKeys ? keys : kPageKeys);
}

// --- rows: a run of rows of one slot against all its pages ---------------------------------------------------------

// Scratch of a thread: for each query of a run its PageQuery, its Merged, its page's out and its merged out.
QUIPU_INLINE size_t runScratchBytes(const AttentionShape& shape) {
  const size_t queries = shape.runRows() * shape.group;
  return queries * (sizeof(PageQuery) + sizeof(Merged) + 2 * shape.size * sizeof(float)) + 192;
}

template <typename E>
static void attendRun(const OpCall& call, Worker& worker, const AttentionShape& shape, const CachePlaces& places,
                      size_t head, size_t first, size_t end) {
  const size_t size = shape.size, queries = (end - first) * shape.group;
  auto* pageQueries = reinterpret_cast<PageQuery*>(worker.scratch);
  auto* merged = reinterpret_cast<Merged*>(pageQueries + queries);
  float* mergedOut = reinterpret_cast<float*>(merged + queries);
  float* pageOut = mergedOut + queries * size;
  clear(mergedOut, queries * size);
  const auto at = [&](size_t i) {  // offset of query i in q and in out
    return (first + i / shape.group) * shape.width + (head * shape.group + i % shape.group) * size;
  };
  for (size_t i = 0; i < queries; ++i) {
    merged[i] = {-__builtin_inff(), 0.0f, mergedOut + i * size};
    pageQueries[i] = {call[attention::kQ].as<float>() + at(i), 0, pageOut + i * size, 0.0f, 0.0f};
  }
  const auto last = uint32_t(places.positions[end - 1]);
  for (size_t block = 0; block <= last / kPageKeys; ++block) {
    const int64_t page = places.page(first, uint32_t(block));
    if (page < 0) return worker.fail(ErrorCode::kInternal, uint32_t(first));
    size_t skip = 0;  // queries of rows that end before this page; positions ascend
    while (uint32_t(places.positions[first + skip / shape.group]) < block * kPageKeys) skip += shape.group;
    for (size_t i = skip; i < queries; ++i) {
      pageQueries[i].visible = visibleKeys(uint32_t(places.positions[first + i / shape.group]), block);
    }
    attendPage(pageQueries + skip, queries - skip, pageOf<E>(call, shape, size_t(page), head), size, shape.scale);
    for (size_t i = skip; i < queries; ++i) {
      mergePage(merged[i], pageQueries[i].maximum, pageQueries[i].sum, pageQueries[i].out, size);
    }
  }
  for (size_t i = 0; i < queries; ++i) finish(merged[i], call[attention::kOut].as<float>() + at(i), size);
}

template <typename E>
static void attentionByRows(const OpCall& call, Worker& worker, const AttentionShape& shape,
                            const CachePlaces& places) {
  const size_t runRows = shape.runRows(), runs = shape.runs();
  for (size_t task; worker.next(task);) {
    // The last rows see the most keys: they go first, so that the threads end together.
    const size_t run = runs - 1 - task / shape.heads, head = task % shape.heads;
    const size_t end = (run + 1) * runRows < shape.rows ? (run + 1) * runRows : shape.rows;
    for (size_t first = run * runRows; first < end;) {
      size_t next = first + 1;
      if (places.padding(first)) {
        clear(call[attention::kOut].as<float>() + first * shape.width + head * shape.group * shape.size,
              shape.group * shape.size);
      } else {
        while (next < end && places.slots[next] == places.slots[first] &&
               places.positions[next] >= places.positions[next - 1]) {
          ++next;
        }
        attendRun<E>(call, worker, shape, places, head, first, next);
      }
      first = next;
    }
  }
}

// --- pages: few rows, their pages shared out -------------------------------------------------------------------------

// Where the result of a page goes.
QUIPU_INLINE float* partialOf(std::byte* shared, const AttentionShape& shape, size_t row, size_t queryHead,
                              size_t block) {
  const size_t at = (row * shape.heads * shape.group + queryHead) * shape.blocks + block;
  return reinterpret_cast<float*>(shared) + at * shape.partial();
}

// Chunks of blocks that some row reaches: those beyond are never handed out.
static size_t reachedChunks(const AttentionShape& shape, const CachePlaces& places) {
  size_t reached = 0;
  for (size_t row = 0; row < shape.rows; ++row) {
    if (places.padding(row)) continue;
    const size_t chunk = size_t(places.positions[row]) / kPageKeys / kSplitPages + 1;
    reached = chunk > reached ? chunk : reached;
  }
  const size_t chunks = (shape.blocks + kSplitPages - 1) / kSplitPages;
  return reached < chunks ? reached : chunks;
}

template <typename E>
static void attentionByPages(const OpCall& call, Worker& worker, const AttentionShape& shape,
                             const CachePlaces& places) {
  const size_t size = shape.size, group = shape.group, units = shape.rows * shape.heads;
  auto* queries = reinterpret_cast<PageQuery*>(worker.scratch);
  for (size_t task; worker.next(task);) {
    const size_t chunk = task / units, row = task % units / shape.heads, head = task % shape.heads;
    if (places.padding(row)) continue;
    const auto position = uint32_t(places.positions[row]);
    const size_t blocks = position / kPageKeys + 1, first = chunk * kSplitPages;
    const size_t end = first + kSplitPages < blocks ? first + kSplitPages : blocks;
    for (size_t block = first; block < end; ++block) {
      const int64_t page = places.page(row, uint32_t(block));
      if (page < 0) {
        worker.fail(ErrorCode::kInternal, uint32_t(row));
        break;
      }
      for (size_t i = 0; i < group; ++i) {
        const float* q = call[attention::kQ].as<float>() + row * shape.width + (head * group + i) * size;
        queries[i] = {q, visibleKeys(position, block),
                      partialOf(worker.shared, shape, row, head * group + i, block) + 2, 0.0f, 0.0f};
      }
      attendPage(queries, group, pageOf<E>(call, shape, size_t(page), head), size, shape.scale);
      for (size_t i = 0; i < group; ++i) {
        float* partial = partialOf(worker.shared, shape, row, head * group + i, block);
        partial[0] = queries[i].maximum;
        partial[1] = queries[i].sum;
      }
    }
  }
}

static size_t attentionMergeTasks(const OpCall& call, uint32_t threads) {
  const AttentionShape shape = attentionShape(call);
  return shape.splitsPages(threads) ? shape.rows * shape.heads * shape.group : 0;
}

static void attentionMerge(const OpCall& call, Worker& worker) {
  const AttentionShape shape = attentionShape(call);
  const CachePlaces places = attentionPlaces(call);
  const size_t size = shape.size, heads = shape.heads * shape.group;
  auto* out = reinterpret_cast<float*>(worker.scratch);
  for (size_t task; worker.next(task);) {
    const size_t row = task / heads, head = task % heads;
    float* target = call[attention::kOut].as<float>() + row * shape.width + head * size;
    clear(target, size);
    if (places.padding(row)) continue;
    Merged merged = {-__builtin_inff(), 0.0f, out};
    clear(out, size);
    for (size_t block = 0; block <= uint32_t(places.positions[row]) / kPageKeys && block < shape.blocks; ++block) {
      const float* partial = partialOf(worker.shared, shape, row, head, block);
      mergePage(merged, partial[0], partial[1], partial + 2, size);
    }
    finish(merged, target, size);
  }
}

// More for rows that do not share out their pages, which are the many.
static size_t attentionScratchBytes(const OpCall& call) {
  const AttentionShape shape = attentionShape(call);
  const size_t pages = shape.group * sizeof(PageQuery), merge = shape.size * sizeof(float);
  const size_t split = pages > merge ? pages : merge, run = runScratchBytes(shape);
  return split > run ? split : run;
}

static size_t attentionSharedBytes(const OpCall& call) {
  const AttentionShape shape = attentionShape(call);
  const size_t most = kSplitUnits / shape.heads, rows = shape.rows < most ? shape.rows : most;
  const auto pages = static_cast<unsigned __int128>(rows * shape.heads * shape.group) * shape.blocks;
  const unsigned __int128 bytes = pages * (shape.partial() * sizeof(float));
  return bytes > SIZE_MAX ? SIZE_MAX : static_cast<size_t>(bytes);  // which no system grants
}

static size_t attentionTasks(const OpCall& call, uint32_t threads) {
  const AttentionShape shape = attentionShape(call);
  return shape.splitsPages(threads) ? shape.rows * shape.heads * reachedChunks(shape, attentionPlaces(call))
                                    : shape.runs() * shape.heads;
}

template <typename E>
static void attentionAs(const OpCall& call, Worker& worker) {
  const AttentionShape shape = attentionShape(call);
  const CachePlaces places = attentionPlaces(call);
  if (shape.splitsPages(worker.threads)) return attentionByPages<E>(call, worker, shape, places);
  attentionByRows<E>(call, worker, shape, places);
}

static void attention(const OpCall& call, Worker& worker) {
  switch (call[attention::kKeys].dtype) {
    case DType::kF32:
      return attentionAs<float>(call, worker);
    case DType::kF16:
      return attentionAs<F16>(call, worker);
    case DType::kI8:
      return attentionAs<int8_t>(call, worker);
    case DType::kBF16:
    case DType::kI32:
    case DType::kQ8:
    case DType::kQ6:
    case DType::kQ4:
      return;  // refused by op_table.cc
  }
}
