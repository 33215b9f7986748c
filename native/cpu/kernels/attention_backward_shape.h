// What attentionBackward (attention_backward.h) works on: its sizes, where things lie in shared and scratch, and the
// runs of adjacent rows of one slot.

static constexpr size_t kBackwardRows = 64;   // of a block
static constexpr size_t kBackwardChunk = 48;  // rows that keys meet at a time: a multiple of kQueries
static constexpr size_t kWholeRun = 1024;
static constexpr size_t kRunTasks = 2;  // tasks a thread below which runs are too few

// What a row's probabilities are made of, p = exp(s − greatest) · inverse, and Σ dOut · out.
struct RowSoftmax {
  float greatest, inverse, along;
};

struct BackwardShape {
  size_t rows, width, keyWidth, size, heads, group;
  float scale;

  // Floats from a feature of k to the next one where rows lie across the lanes: a tile reads past the last row, and
  // features that are a multiple of 4 KiB apart would want the same lines of L1.
  size_t pitch() const { return (rows + 15) / 16 * 16 + 80; }
  size_t blocks() const { return (rows + kBackwardRows - 1) / kBackwardRows; }
  size_t keyFloats() const { return keyWidth * pitch(); }
  size_t sharedBytes() const { return 2 * keyFloats() * sizeof(float) + rows * heads * group * sizeof(RowSoftmax); }
  size_t runPitch() const { return (rows < kWholeRun ? rows : kWholeRun) + 80; }
  size_t scratchFloats() const {
    const size_t queries = kQueries * pitch(), run = kBackwardChunk * runPitch();
    return queries > run ? queries : run;
  }
  // Floats from a feature of the sums for keys to the next.
  size_t acrossPitch() const { return ((rows < kWholeRun ? rows : kWholeRun) + 63) / 64 * 64 + 16; }
};

// With a size of 0 where headSize does not divide the width.
QUIPU_INLINE BackwardShape backwardShape(const OpCall& call) {
  const View &q = call[attention_backward::kQ], &k = call[attention_backward::kK];
  BackwardShape shape = {};
  shape.rows = q.dims[0];
  shape.width = q.dims[1];
  shape.keyWidth = k.dims[1];
  shape.scale = call.floatAttribute(attention_backward::kScale);
  const uint32_t size = call.attributes[attention_backward::kHeadSize];
  if (size == 0 || k.dims[1] % size != 0) return shape;
  shape.size = size;
  shape.heads = shape.keyWidth / size;
  shape.group = shape.width / shape.keyWidth;
  return shape;
}

// What lies in shared.
struct BackwardMemory {
  float *keys, *values;  // [G, d, pitch]
  RowSoftmax* softmax;   // [H, T]

  BackwardMemory(const BackwardShape& shape, std::byte* shared)
      : keys(reinterpret_cast<float*>(shared)),
        values(keys + shape.keyFloats()),
        softmax(reinterpret_cast<RowSoftmax*>(values + shape.keyFloats())) {}
};

static size_t attentionBackwardSharedBytes(const OpCall& call) { return backwardShape(call).sharedBytes(); }

static size_t attentionBackwardScratchBytes(const OpCall& call) {
  const BackwardShape shape = backwardShape(call);
  const size_t across = hasFewFeatures(shape.size) ? 2 * shape.size * shape.acrossPitch() : 0;
  return (2 * shape.scratchFloats() + across) * sizeof(float);
}

// Where the run of a row begins, and where it ends.
QUIPU_INLINE size_t runBegin(const int32_t* slots, size_t row) {
  while (row > 0 && slots[row - 1] == slots[row]) --row;
  return row;
}
QUIPU_INLINE size_t runEnd(const int32_t* slots, size_t row, size_t rows) {
  const size_t first = row;
  while (row < rows && slots[row] == slots[first]) ++row;
  return row;
}

// Calls segment(first, last, begin, end) for the rows of a task that are of one run, and where that begins and ends;
// begin = end for padding.
template <typename Segment>
QUIPU_INLINE void eachSegment(const int32_t* slots, size_t block, size_t rows, Segment segment) {
  const size_t last = atMost((block + 1) * kBackwardRows, rows);
  for (size_t row = block * kBackwardRows; row < last;) {
    const size_t end = runEnd(slots, row, rows), stop = atMost(end, last);
    segment(row, stop, slots[row] < 0 ? end : runBegin(slots, row), end);
    row = stop;
  }
}

// Probabilities of a row's weights exp(s − greatest), and in place of Σ dOut · value the gradients of the scores before
// they are scaled.
QUIPU_INLINE void scoreGradients(const RowSoftmax& softmax, float scale, f32x16 weight, float* probabilities,
                                 float* gradients) {
  const f32x16 p = mul(weight, broadcast(softmax.inverse));
  const f32x16 slope = mul(p, sub(load(gradients), broadcast(softmax.along)));
  store(probabilities, p);
  store(gradients, mul(slope, broadcast(scale)));
}

// How the work is shared out. A run is rows of one slot, or of padding.
struct RunCounts {
  size_t runs, longest;
};

QUIPU_INLINE RunCounts countRuns(const int32_t* slots, size_t rows) {
  RunCounts counts = {};
  for (size_t row = 0; row < rows;) {
    const size_t end = runEnd(slots, row, rows);
    ++counts.runs;
    if (end - row > counts.longest && slots[row] >= 0) counts.longest = end - row;
    row = end;
  }
  return counts;
}

// Tasks by runs; 0: it is shared out by blocks.
QUIPU_INLINE size_t tasksByRuns(const OpCall& call, const BackwardShape& shape, uint32_t threads) {
  const RunCounts counts = countRuns(call[attention_backward::kSlots].as<int32_t>(), shape.rows);
  const size_t tasks = counts.runs * shape.heads;
  return counts.longest <= kWholeRun && (threads == 1 || tasks >= kRunTasks * threads) ? tasks : 0;
}
