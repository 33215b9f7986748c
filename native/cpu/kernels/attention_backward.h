// attentionBackward: the gradients of q, k and v of causal attention within the rows (FlashAttention-2,
// arXiv:2307.08691 §3.1: probabilities are computed again, tile by tile), in the order of docs/numerics.md. 10 d flops
// a query head and visible key, where forward has 4: bound by arithmetic. Two ways to share the work, with the same
// bits; in both the first phase lays k and v with the rows across the lanes, in shared: a task is a key/value head of
// 64 rows.
//
//   runs    runs of up to kWholeRun rows, enough of them for the threads: a task is a run and a key/value head, chunk
//           after chunk of rows. Scores are computed once.
//   blocks  a task of the second phase is a key/value head of 64 rows: dQ, and of each row and query head what its
//           probabilities are made of (RowSoftmax), in shared; one of the third a key/value head of 64 keys: dK and
//           dV, from all rows that see them, whose scores are computed once more: 14 d flops.
//
//   scratch    scores and their gradients: of a chunk against a run's keys, of six rows against all, of a chunk against
//              64 keys; of heads of few features the sums for a run's keys or for 64, with the keys across the lanes

// --- transpose -------------------------------------------------------------------------------------------------------

static size_t backwardBlockTasks(const OpCall& call, uint32_t) {
  const BackwardShape shape = backwardShape(call);
  return shape.size == 0 ? 1 : shape.blocks() * shape.heads;
}

// Features of rows [first, last) of a head: to[c · pitch + row].
static void transposeHead(const float* rows, size_t width, size_t first, size_t last, size_t size, float* to,
                          size_t pitch) {
  for (size_t row = first; row < last; row += 16) {
    const size_t count = atMost(last - row, 16);
    for (size_t c = 0; c < size; c += 16) {
      const size_t n = atMost(size - c, 16);
      f32x16 lanes[16];
      for (size_t r = 0; r < 16; ++r) lanes[r] = r < count ? loadFirst(rows + (row + r) * width + c, n) : zero();
      transpose(lanes);
      for (size_t i = 0; i < n; ++i) storeFirst(to + (c + i) * pitch + row, lanes[i], count);
    }
  }
}

static void backwardTranspose(const OpCall& call, Worker& worker) {
  const BackwardShape shape = backwardShape(call);
  const BackwardMemory memory(shape, worker.shared);
  for (size_t task; worker.next(task);) {
    if (shape.size == 0) return worker.fail(ErrorCode::kInternal, 0);
    const size_t head = task % shape.heads, first = task / shape.heads * kBackwardRows, at = head * shape.size;
    const size_t last = atMost(first + kBackwardRows, shape.rows);
    const float *k = call[attention_backward::kK].as<float>() + at, *v = call[attention_backward::kV].as<float>() + at;
    transposeHead(k, shape.keyWidth, first, last, shape.size, memory.keys + at * shape.pitch(), shape.pitch());
    transposeHead(v, shape.keyWidth, first, last, shape.size, memory.values + at * shape.pitch(), shape.pitch());
  }
}

// --- queries ---------------------------------------------------------------------------------------------------------

// Σ dOut · out of a row.
QUIPU_INLINE float alongOf(const float* dOut, const float* out, size_t size) {
  f32x16 products = zero();
  for (size_t c = 0; c < size; c += 16) {
    const size_t n = atMost(size - c, 16);
    products = fma(loadFirst(dOut + c, n), loadFirst(out + c, n), products);
  }
  return sum(products);
}

// The greatest of the scores of a row that sees so many keys, which are scaled in their place.
QUIPU_INLINE float greatestOf(float* scores, size_t visible, float scale) {
  const f32x16 hidden = broadcast(-__builtin_inff());
  f32x16 greatest = hidden;
  for (size_t j = 0; j < visible; j += 16) {
    const f32x16 score = mul(load(scores + j), broadcast(scale));
    greatest = max(visible - j >= 16 ? score : select(firstLanes(visible - j), score, hidden), greatest);
    store(scores + j, score);
  }
  return maximum(greatest);
}

// The weights exp(s − greatest) in place of scaled scores; their sum.
QUIPU_INLINE float weighRow(float* scores, size_t visible, float greatest) {
  f32x16 total = zero();
  const size_t whole = visible / 16 * 16;
  for (size_t j = 0; j < visible; j += 16) {
    const f32x16 score = load(scores + j);
    const f32x16 weight = j < whole ? weightsOfScores(score, greatest) : weightsOfScores(score, greatest, visible - j);
    total = add(total, weight);
    store(scores + j, weight);
  }
  return sum(total);
}

// Rows [first, first + Q) of a query head, whose run begins at `begin`: their dQ, and from there on their probabilities
// and score gradients, `pitch` to a row.
template <size_t Q>
static void backwardQueries(const OpCall& call, const BackwardShape& shape, const BackwardMemory& memory, size_t query,
                            size_t begin, size_t first, float* scores, float* gradients, size_t pitch) {
  const size_t size = shape.size, at = first * shape.width + query * size, rowPitch = shape.pitch();
  const size_t count = first + Q - begin, headAt = query / shape.group * size;
  const float* q = call[attention_backward::kQ].as<float>() + at;
  const float *out = call[attention_backward::kOut].as<float>() + at,
              *dOut = call[attention_backward::kDOut].as<float>() + at;
  productTile<Q>(q, shape.width, memory.keys + headAt * rowPitch + begin, rowPitch, count, size, scores, pitch);
  productTile<Q>(dOut, shape.width, memory.values + headAt * rowPitch + begin, rowPitch, count, size, gradients, pitch);
  Terms<Q> terms = {gradients, pitch, 1, {}, {}};
  float* dQ = call[attention_backward::kDQ].as<float>() + at;
  RowSoftmax softmax[Q];
  // Each step for all rows before the next one: they do not wait for each other.
  for (size_t i = 0; i < Q; ++i) {
    terms.end[i] = count - (Q - 1 - i);
    softmax[i].greatest = greatestOf(scores + i * pitch, terms.end[i], shape.scale);
    softmax[i].along = alongOf(dOut + i * shape.width, out + i * shape.width, size);
  }
  for (size_t i = 0; i < Q; ++i) {
    softmax[i].inverse = 1.0f / weighRow(scores + i * pitch, terms.end[i], softmax[i].greatest);
  }
  for (size_t i = 0; i < Q; ++i) {
    memory.softmax[query * shape.rows + first + i] = softmax[i];
    for (size_t j = 0; j < terms.end[i]; j += 16) {
      float* weights = scores + i * pitch + j;
      scoreGradients(softmax[i], shape.scale, load(weights), weights, gradients + i * pitch + j);
    }
    clear(dQ + i * shape.width, size);
  }
  mixTile<Q>(terms, call[attention_backward::kK].as<float>() + begin * shape.keyWidth + headAt, shape.keyWidth, size,
             dQ, shape.width);
}

// The sums for keys from `first` on, [d, pitch] each: of heads of few features in scratch, with the keys across the
// lanes, until all rows are in them.
struct KeySums {
  float *keys, *values;
  size_t first, pitch;
};

QUIPU_INLINE KeySums keySums(const BackwardShape& shape, size_t first, size_t count, float* scratch) {
  const size_t pitch = shape.acrossPitch();
  float* keys = scratch + 2 * shape.scratchFloats();
  if (hasFewFeatures(shape.size)) {
    for (size_t c = 0; c < 2 * shape.size; ++c) clear(keys + c * pitch, (count + 63) / 64 * 64);
  }
  return {keys, keys + shape.size * pitch, first, pitch};
}

// Adds to dK and dV of keys [sums.first, last), or to `sums`, what rows [first, first + count) of a query head have for
// them, of which row r sees those up to r: their probabilities and score gradients from the first key on, `pitch` to a
// row.
static void addToKeys(const OpCall& call, const BackwardShape& shape, size_t query, const KeySums& sums, size_t last,
                      size_t first, size_t count, const float* probabilities, const float* gradients, size_t pitch) {
  const size_t size = shape.size, width = shape.width, headAt = query / shape.group * size, key = sums.first;
  const float* q = call[attention_backward::kQ].as<float>() + first * width + query * size;
  const float* dOut = call[attention_backward::kDOut].as<float>() + first * width + query * size;
  if (hasFewFeatures(size)) {
    constexpr size_t kTile = 16 * kVectorsAcross;
    for (size_t i = 0; i < last - key; i += kTile) {
      // The first row that sees a key of the tile, and the first that sees all of them.
      const size_t begin = atMost(key + i > first ? key + i - first : 0, count);
      const size_t whole = atMost(key + i + kTile - 1 > first ? key + i + kTile - 1 - first : 0, count);
      const ptrdiff_t ahead = ptrdiff_t(first) - ptrdiff_t(key + i);
      mixAcross(gradients + i, pitch, q, width, size, begin, whole, count, ahead, sums.keys + i, sums.pitch);
      mixAcross(probabilities + i, pitch, dOut, width, size, begin, whole, count, ahead, sums.values + i, sums.pitch);
    }
    return;
  }
  float* dK = call[attention_backward::kDK].as<float>() + key * shape.keyWidth + headAt;
  float* dV = call[attention_backward::kDV].as<float>() + key * shape.keyWidth + headAt;
  eachTile(last - key, [&]<size_t Q>(size_t i) {
    Terms<Q> terms = {gradients + i, 1, pitch, {}, {}};
    for (size_t r = 0; r < Q; ++r) {
      terms.begin[r] = atMost(key + i + r > first ? key + i + r - first : 0, count);
      terms.end[r] = count;
    }
    mixTile<Q>(terms, q, width, size, dK + i * shape.keyWidth, shape.keyWidth);
    terms.weights = probabilities + i;
    mixTile<Q>(terms, dOut, width, size, dV + i * shape.keyWidth, shape.keyWidth);
  });
}

// Lays the sums of keys up to `last` into dK and dV, where they are not there yet.
static void storeKeys(const OpCall& call, const BackwardShape& shape, size_t head, const KeySums& sums, size_t last) {
  if (!hasFewFeatures(shape.size)) return;
  const size_t at = sums.first * shape.keyWidth + head * shape.size, count = last - sums.first;
  const auto rowsOf = [&](const float* across, float* to) {
    for (size_t key = 0; key < count; key += 16) {
      f32x16 lanes[16];
      for (size_t c = 0; c < 16; ++c) lanes[c] = c < shape.size ? load(across + c * sums.pitch + key) : zero();
      transpose(lanes);
      for (size_t i = 0; i < atMost(count - key, 16); ++i) {
        storeFirst(to + (key + i) * shape.keyWidth, lanes[i], shape.size);
      }
    }
  };
  rowsOf(sums.keys, call[attention_backward::kDK].as<float>() + at);
  rowsOf(sums.values, call[attention_backward::kDV].as<float>() + at);
}

// Sets what rows of a key/value head have for a gradient to 0.
static void clearQueries(const OpCall& call, const BackwardShape& shape, size_t head, size_t first, size_t last) {
  const size_t features = shape.group * shape.size;
  for (size_t row = first; row < last; ++row) {
    clear(call[attention_backward::kDQ].as<float>() + row * shape.width + head * features, features);
  }
}

static void clearKeys(const OpCall& call, const BackwardShape& shape, size_t head, size_t first, size_t last) {
  for (size_t row = first; row < last; ++row) {
    const size_t at = row * shape.keyWidth + head * shape.size;
    clear(call[attention_backward::kDK].as<float>() + at, shape.size);
    clear(call[attention_backward::kDV].as<float>() + at, shape.size);
  }
}

// A key/value head of a run.
static void backwardRun(const OpCall& call, const BackwardShape& shape, const BackwardMemory& memory, size_t head,
                        size_t begin, size_t end, float* scratch) {
  const size_t pitch = (end - begin + 63) / 64 * 64 + 16;  // at most runPitch()
  float *scores = scratch, *gradients = scratch + shape.scratchFloats();
  const KeySums sums = keySums(shape, begin, end - begin, scratch);
  for (size_t query = head * shape.group; query < (head + 1) * shape.group; ++query) {
    for (size_t first = begin; first < end; first += kBackwardChunk) {
      const size_t count = atMost(end - first, kBackwardChunk);
      eachTile(count, [&]<size_t Q>(size_t i) {
        backwardQueries<Q>(call, shape, memory, query, begin, first + i, scores + i * pitch, gradients + i * pitch,
                           pitch);
      });
      addToKeys(call, shape, query, sums, first + count, first, count, scores, gradients, pitch);
    }
  }
  storeKeys(call, shape, head, sums, end);
}

static void backwardRuns(const OpCall& call, Worker& worker, const BackwardShape& shape, const BackwardMemory& memory) {
  const int32_t* slots = call[attention_backward::kSlots].as<int32_t>();
  for (size_t task; worker.next(task);) {
    const size_t head = task % shape.heads;
    size_t begin = 0, end = runEnd(slots, 0, shape.rows);
    for (size_t run = 0; run < task / shape.heads; ++run) {
      begin = end;
      end = runEnd(slots, begin, shape.rows);
    }
    clearKeys(call, shape, head, begin, end);
    if (slots[begin] < 0) {
      clearQueries(call, shape, head, begin, end);
    } else {
      backwardRun(call, shape, memory, head, begin, end, reinterpret_cast<float*>(worker.scratch));
    }
  }
}

static size_t backwardQueryTasks(const OpCall& call, uint32_t threads) {
  const BackwardShape shape = backwardShape(call);
  const size_t runs = shape.size == 0 ? 0 : tasksByRuns(call, shape, threads);
  return runs > 0 ? runs : backwardBlockTasks(call, threads);
}

static void backwardRows(const OpCall& call, Worker& worker) {
  const BackwardShape shape = backwardShape(call);
  const BackwardMemory memory(shape, worker.shared);
  if (tasksByRuns(call, shape, worker.threads) > 0) return backwardRuns(call, worker, shape, memory);
  float *scores = reinterpret_cast<float*>(worker.scratch), *gradients = scores + shape.scratchFloats();
  for (size_t task; worker.next(task);) {
    const size_t head = task % shape.heads;
    const auto segment = [&](size_t first, size_t last, size_t begin, size_t end) {
      if (begin == end) return clearQueries(call, shape, head, first, last);
      for (size_t query = head * shape.group; query < (head + 1) * shape.group; ++query) {
        eachTile(last - first, [&]<size_t Q>(size_t i) {
          backwardQueries<Q>(call, shape, memory, query, begin, first + i, scores, gradients, shape.pitch());
        });
      }
    };
    eachSegment(call[attention_backward::kSlots].as<int32_t>(), task / shape.heads, shape.rows, segment);
  }
}

// --- keys, by blocks -------------------------------------------------------------------------------------------------

// Rows [first, first + count) of a query head against keys [key, last), which are of one run.
static void backwardChunk(const OpCall& call, const BackwardShape& shape, const BackwardMemory& memory, size_t query,
                          const KeySums& sums, size_t last, size_t first, size_t count, float* scratch) {
  const size_t pitch = shape.pitch(), width = shape.width, key = sums.first, keys = last - key;
  const size_t at = query / shape.group * shape.size * pitch + key;
  const float* q = call[attention_backward::kQ].as<float>() + first * width + query * shape.size;
  const float* dOut = call[attention_backward::kDOut].as<float>() + first * width + query * shape.size;
  float *scores = scratch, *gradients = scratch + shape.scratchFloats();
  eachTile(count, [&]<size_t Q>(size_t i) {
    float *to = scores + i * kPageKeys, *toGradients = gradients + i * kPageKeys;
    productTile<Q>(q + i * width, width, memory.keys + at, pitch, keys, shape.size, to, kPageKeys);
    productTile<Q>(dOut + i * width, width, memory.values + at, pitch, keys, shape.size, toGradients, kPageKeys);
    for (size_t r = 0; r < Q; ++r) {
      const RowSoftmax& softmax = memory.softmax[query * shape.rows + first + i + r];
      for (size_t j = r * kPageKeys; j < r * kPageKeys + keys; j += 16) {
        const f32x16 score = mul(load(to + j), broadcast(shape.scale));
        const f32x16 below = min(zero(), sub(score, broadcast(softmax.greatest)));  // above it is only what is not seen
        scoreGradients(softmax, shape.scale, expOfDifference(below), to + j, toGradients + j);
      }
    }
  });
  addToKeys(call, shape, query, sums, last, first, count, scores, gradients, kPageKeys);
}

static size_t backwardKeyTasks(const OpCall& call, uint32_t threads) {
  const BackwardShape shape = backwardShape(call);
  return shape.size > 0 && tasksByRuns(call, shape, threads) > 0 ? 0 : backwardBlockTasks(call, threads);
}

static void backwardKeys(const OpCall& call, Worker& worker) {
  const BackwardShape shape = backwardShape(call);
  const BackwardMemory memory(shape, worker.shared);
  auto* scratch = reinterpret_cast<float*>(worker.scratch);
  for (size_t task; worker.next(task);) {
    const size_t head = task % shape.heads;
    const auto segment = [&](size_t first, size_t last, size_t begin, size_t end) {
      clearKeys(call, shape, head, first, last);
      if (begin == end) return;
      const KeySums sums = keySums(shape, first, last - first, scratch);
      for (size_t query = head * shape.group; query < (head + 1) * shape.group; ++query) {
        for (size_t row = first; row < end; row += kBackwardChunk) {
          backwardChunk(call, shape, memory, query, sums, last, row, atMost(end - row, kBackwardChunk), scratch);
        }
      }
      storeKeys(call, shape, head, sums, last);
    };
    eachSegment(call[attention_backward::kSlots].as<int32_t>(), task / shape.heads, shape.rows, segment);
  }
}
