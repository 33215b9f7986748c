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
  bool coded;  // the cache is of i8

  // Rows of a task: as many as make some 48 queries, so that pages are loaded seldom and tasks stay short.
  size_t runRows() const { return group >= 48 ? 1 : 48 / group; }
  size_t runs() const { return (rows + runRows() - 1) / runRows(); }
  bool splitsPages(uint32_t threads) const {
    return rows * heads <= kSplitUnits && runs() * heads < kSplitTasks * threads;
  }
  // Scratch of `queries` of a thread: each one's PageQuery and, where the cache is coded, its codes; a rotated query.
  size_t queryBytes(size_t queries) const {
    const size_t codes = coded ? queries * queryCodeBytes(size) + size * sizeof(float) : 0;
    return queries * sizeof(PageQuery) + codes;
  }
  // The same and, for a run, the queries and their outputs side by side: rows lie so far apart that many of them would
  // want the same lines of L1.
  size_t runBytes() const {
    const size_t queries = runRows() * group, tiles = (queries + kAcrossQueries - 1) / kAcrossQueries;
    const size_t tiled = queryBytes(queries) + 2 * queries * size * sizeof(float) + 64;
    const size_t across = !coded && hasFewFeatures(size) ? tiles * sizeof(AcrossTile) : 0;
    return across > tiled ? across : tiled;
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
  shape.coded = keys.dtype == DType::kI8;
  return shape;
}

QUIPU_INLINE CachePlaces attentionPlaces(const OpCall& call) {
  return placesOf(call[attention::kSlots], call[attention::kPositions], call[attention::kPageTable],
                  call[attention::kKeys]);
}

template <typename E>
QUIPU_INLINE Page<E> pageOf(const OpCall& call, const AttentionShape& shape, size_t page, size_t head) {
  const size_t unit = page * shape.heads + head;
  return {call[attention::kKeys].as<const E>() + unit * shape.size * kPageKeys,
          call[attention::kValues].as<const E>() + unit * shape.size * kPageKeys};
}

// The same of an i8 cache; `lastCodes` is room for the features that are no four.
QUIPU_INLINE Page<int8_t> codedPageOf(const OpCall& call, const AttentionShape& shape, size_t page, size_t head,
                                      int8_t (&lastCodes)[4 * kPageKeys]) {
  const size_t unit = page * shape.heads + head, whole = shape.size / 4 * 4;
  Page<int8_t> at = pageOf<int8_t>(call, shape, page, head);
  at.keyScales = call[attention::kKeyScales].as<const float>() + unit * kPageKeys;
  at.valueScales = call[attention::kValueScales].as<const float>() + unit * kPageKeys;
  at.lastCodes = lastCodes;
  if (whole == shape.size) return at;
  __builtin_memset(lastCodes, 0, sizeof lastCodes);
  for (size_t c = whole; c < shape.size; ++c) {
    for (size_t key = 0; key < kPageKeys; ++key) {
      lastCodes[4 * key + c % 4] = at.keys[keyCode(shape.size, c, key)];
    }
  }
  return at;
}

// Queries against a page of the cache.
template <bool kMerges, typename E>
QUIPU_INLINE void attend(const OpCall& call, const AttentionShape& shape, PageQuery* queries, size_t count, size_t page,
                         size_t head) {
  if constexpr (sizeof(E) == 1) {
    alignas(64) int8_t lastCodes[4 * kPageKeys];
    attendPage<kMerges>(queries, count, codedPageOf(call, shape, page, head, lastCodes), shape.size);
  } else {
    attendPage<kMerges>(queries, count, pageOf<E>(call, shape, page, head), shape.size);
  }
}

// Query `index` of `count` in a thread's scratch, with nothing before it.
QUIPU_INLINE PageQuery queryOf(const AttentionShape& shape, const float* q, float* out, std::byte* scratch,
                               size_t index, size_t count) {
  PageQuery query = {q, {}, shape.scale, 0, out, -__builtin_inff(), 0.0f};
  if (!shape.coded) return query;
  std::byte* codes = scratch + count * sizeof(PageQuery);
  auto* rotated = reinterpret_cast<float*>(codes + count * queryCodeBytes(shape.size));
  query.codes = queryCodes(rotatedOf(q, rotated, shape.size), shape.size, codes + index * queryCodeBytes(shape.size));
  query.factor = query.codes.scale * shape.scale;
  if (rotates(shape.size)) query.factor *= 1.0f / float(shape.size);
  return query;
}

// merged / sum, rotated back.
QUIPU_INLINE void finish(const AttentionShape& shape, float sum, const float* merged, float* out) {
  const size_t size = shape.size;
  const f32x16 divisor = broadcast(sum);
  size_t c = 0;
  for (; c + 16 <= size; c += 16) store(out + c, div(load(merged + c), divisor));
  if (c < size) storePart(out + c, div(loadPart(merged + c, size - c), divisor), size - c);
  if (!shape.coded || !rotates(size)) return;
  rotate(out, size);
  const f32x16 part = broadcast(1.0f / float(size));
  for (c = 0; c < size; c += 16) store(out + c, mul(load(out + c), part));
}

QUIPU_INLINE void clear(float* values, size_t count) { __builtin_memset(values, 0, count * sizeof(float)); }

QUIPU_INLINE uint32_t visibleKeys(uint32_t position, size_t block) {
  const size_t keys = position + 1 - block * kPageKeys;
  return uint32_t(keys < kPageKeys ? keys : kPageKeys);
}

// --- rows: a run of rows of one slot against all its pages ---------------------------------------------------------

template <typename E>
static void attendRunTiled(const OpCall& call, Worker& worker, const AttentionShape& shape, const CachePlaces& places,
                           size_t head, size_t first, size_t end) {
  const size_t size = shape.size, count = (end - first) * shape.group;
  auto* queries = reinterpret_cast<PageQuery*>(worker.scratch);
  auto* outs = reinterpret_cast<float*>(worker.scratch + wholeLines(shape.queryBytes(count)));
  float* copies = outs + count * size;
  clear(outs, count * size);
  const auto at = [&](size_t i) {  // offset of query i in q and in out
    return (first + i / shape.group) * shape.width + (head * shape.group + i % shape.group) * size;
  };
  for (size_t i = 0; i < count; ++i) {
    __builtin_memcpy(copies + i * size, call[attention::kQ].as<float>() + at(i), size * sizeof(float));
    queries[i] = queryOf(shape, copies + i * size, outs + i * size, worker.scratch, i, count);
  }
  const auto last = uint32_t(places.positions[end - 1]);
  for (size_t block = 0; block <= last / kPageKeys; ++block) {
    const int64_t page = places.page(first, uint32_t(block));
    if (page < 0) return worker.fail(ErrorCode::kInternal, uint32_t(first));
    size_t skip = 0;  // queries of rows that end before this page; positions ascend
    while (uint32_t(places.positions[first + skip / shape.group]) < block * kPageKeys) skip += shape.group;
    for (size_t i = skip; i < count; ++i) {
      queries[i].visible = visibleKeys(uint32_t(places.positions[first + i / shape.group]), block);
    }
    attend<true, E>(call, shape, queries + skip, count - skip, size_t(page), head);
  }
  for (size_t i = 0; i < count; ++i) {
    finish(shape, queries[i].sum, queries[i].out, call[attention::kOut].as<float>() + at(i));
  }
}

// The same of heads of few features.
template <typename E>
static void attendRunAcross(const OpCall& call, Worker& worker, const AttentionShape& shape, const CachePlaces& places,
                            size_t head, size_t first, size_t end) {
  const size_t size = shape.size, count = (end - first) * shape.group;
  const size_t tiles = (count + kAcrossQueries - 1) / kAcrossQueries;
  auto* tile = reinterpret_cast<AcrossTile*>(worker.scratch);
  const auto rowOf = [&](size_t query) { return first + query / shape.group; };
  const auto at = [&](size_t query) {  // offset in q and in out
    return rowOf(query) * shape.width + (head * shape.group + query % shape.group) * size;
  };
  for (size_t t = 0; t < tiles; ++t) {
    const size_t begin = t * kAcrossQueries;
    rowsToLanes(atMost(count - begin, kAcrossQueries), size, tile[t].q,
                [&](size_t i) { return call[attention::kQ].as<float>() + at(begin + i); });
    for (size_t c = 0; c < size; ++c) store(tile[t].out[c], zero());
    store(tile[t].maximum, broadcast(-__builtin_inff()));
    store(tile[t].sum, zero());
    for (size_t i = 0; i < kAcrossQueries; ++i) {
      tile[t].visible[i] = begin + i < count ? uint32_t(places.positions[rowOf(begin + i)]) + 1 : 0;
    }
  }
  const auto last = uint32_t(places.positions[end - 1]);
  for (size_t block = 0; block <= last / kPageKeys; ++block) {
    const int64_t id = places.page(first, uint32_t(block));
    if (id < 0) return worker.fail(ErrorCode::kInternal, uint32_t(first));
    const Page<E> page = pageOf<E>(call, shape, size_t(id), head);
    alignas(64) float keyRoom[kFewFeatures * kPageKeys], valueRoom[kFewFeatures * kPageKeys];
    const float *keys = widened(page.keys, size * kPageKeys, keyRoom),
                *values = widened(page.values, size * kPageKeys, valueRoom);
    for (size_t t = 0; t < tiles; ++t) {
      const AcrossSight sight = sightOf(tile[t], block);
      if (sight.most > 0) attendAcross(tile[t], sight, keys, values, size, shape.scale);
    }
  }
  for (size_t t = 0; t < tiles; ++t) {
    const f32x16 sum = load(tile[t].sum);
    f32x16 rows[16];
    for (size_t c = 0; c < 16; ++c) rows[c] = c < size ? div(load(tile[t].out[c]), sum) : zero();
    transpose(rows);
    for (size_t i = 0; i < atMost(count - t * kAcrossQueries, kAcrossQueries); ++i) {
      storeFirst(call[attention::kOut].as<float>() + at(t * kAcrossQueries + i), rows[i], size);
    }
  }
}

template <typename E>
static void attendRun(const OpCall& call, Worker& worker, const AttentionShape& shape, const CachePlaces& places,
                      size_t head, size_t first, size_t end) {
  if constexpr (sizeof(E) > 1) {
    if (hasFewFeatures(shape.size) && (end - first) * shape.group >= kLeastAcross) {
      return attendRunAcross<E>(call, worker, shape, places, head, first, end);
    }
  }
  attendRunTiled<E>(call, worker, shape, places, head, first, end);
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
    for (size_t i = 0; i < group && first < end; ++i) {
      const float* q = call[attention::kQ].as<float>() + row * shape.width + (head * group + i) * size;
      queries[i] = queryOf(shape, q, nullptr, worker.scratch, i, group);
    }
    for (size_t block = first; block < end; ++block) {
      const int64_t page = places.page(row, uint32_t(block));
      if (page < 0) {
        worker.fail(ErrorCode::kInternal, uint32_t(row));
        break;
      }
      for (size_t i = 0; i < group; ++i) {
        queries[i].visible = visibleKeys(position, block);
        queries[i].out = partialOf(worker.shared, shape, row, head * group + i, block) + 2;
      }
      attend<false, E>(call, shape, queries, group, size_t(page), head);
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

// Joins the next page to what came before it.
QUIPU_INLINE void mergePage(float& maximum, float& sum, float* out, const float* partial, size_t size) {
  float* before[1] = {&maximum};
  const float next[1] = {partial[0]};
  const Factors factors = factorsOf(before, next);
  sum = mergedSum(sum, partial[1], factors, 0);
  const float* now = partial + 2;
  size_t c = 0;
  for (; c + 16 <= size; c += 16) store(out + c, mergedOut(load(out + c), load(now + c), factors, 0));
  if (const size_t n = size - c; n > 0) {
    storePart(out + c, mergedOut(loadPart(out + c, n), loadPart(now + c, n), factors, 0), n);
  }
}

static void attentionMerge(const OpCall& call, Worker& worker) {
  const AttentionShape shape = attentionShape(call);
  const CachePlaces places = attentionPlaces(call);
  const size_t size = shape.size, heads = shape.heads * shape.group;
  for (size_t task; worker.next(task);) {
    const size_t row = task / heads, head = task % heads;
    float* out = call[attention::kOut].as<float>() + row * shape.width + head * size;
    clear(out, size);
    if (places.padding(row)) continue;
    float maximum = -__builtin_inff(), sum = 0.0f;
    for (size_t block = 0; block <= uint32_t(places.positions[row]) / kPageKeys && block < shape.blocks; ++block) {
      mergePage(maximum, sum, out, partialOf(worker.shared, shape, row, head, block), size);
    }
    finish(shape, sum, out, out);
  }
}

// More for rows that do not share out their pages, which are the many.
static size_t attentionScratchBytes(const OpCall& call) { return attentionShape(call).runBytes(); }

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
