// appendKv: writes each row's keys and values to the page of its slot and position: keys [pages, G, d, 64] with the
// keys across the lanes (of i8 as cache_codes.h says), values [pages, G, 64, d] row by row. Moves 8 T G d bytes in and
// as much (or half, or a quarter) out, the keys scattered: bound by memory. A task is one key/value head of 64 rows, so
// that the scattered lines of a page stay with one thread.

// Narrows one head of one row to the cache's element type.
QUIPU_INLINE void storeHead(const float* key, const float* value, float* keys, float* values, size_t size) {
  for (size_t c = 0; c < size; ++c) keys[c * kPageKeys] = key[c];
  size_t c = 0;
  for (; c + 16 <= size; c += 16) store(values + c, load(value + c));
  if (c < size) storePart(values + c, loadPart(value + c, size - c), size - c);
}

QUIPU_INLINE void storeHead(const float* key, const float* value, F16* keys, F16* values, size_t size) {
  uint16_t lanes[16];
  for (size_t c = 0; c < size; c += 16) {
    const size_t n = size - c < 16 ? size - c : 16;
    narrowF16(lanes, loadPart(key + c, n));
    for (size_t i = 0; i < n; ++i) keys[(c + i) * kPageKeys].bits = lanes[i];
    narrowF16Part(&values[c].bits, loadPart(value + c, n), n);
  }
}

// Rounds a vector to i8 with one scale, amax / 127; returns the scale. Calls set(c, codes, n) for the codes of the n
// features from c on, 16 a call but the last.
template <typename Set>
QUIPU_INLINE float storeI8(const float* vector, size_t size, Set set) {
  f32x16 greatest = zero();
  m16 nan = firstLanes(0);
  for (size_t c = 0; c < size; c += 16) {
    const f32x16 v = loadPart(vector + c, size - c < 16 ? size - c : 16);
    nan = either(nan, isNan(v));
    greatest = max(abs(v), greatest);  // drops a NaN
  }
  // An infinite or NaN activation has no i8 form: it is kept in the scale, and shows up as NaN in the logits.
  const float scale = any(nan) ? __builtin_nanf("") : maximum(greatest) / 127.0f;
  const f32x16 divisor = broadcast(scale > 0.0f && scale < __builtin_inff() ? scale : 1.0f);
  int8_t lanes[16];
  for (size_t c = 0; c < size; c += 16) {
    const size_t n = size - c < 16 ? size - c : 16;
    const f32x16 rounded = rint(div(loadPart(vector + c, n), divisor));
    const f32x16 bounded = max(min(select(isNan(rounded), zero(), rounded), broadcast(127.0f)), broadcast(-127.0f));
    narrowI8(lanes, bounded);
    set(c, lanes, n);
  }
  return scale;
}

static constexpr size_t kAppendRows = 64;  // of a task

// A vector as it is rotated.
static size_t appendKvScratchBytes(const OpCall& call) {
  const View& keys = call[append_kv::kKeys];
  return keys.dtype == DType::kI8 ? keys.dims[2] * sizeof(float) : 0;
}

static size_t appendKvTasks(const OpCall& call, uint32_t) {
  return call[append_kv::kKeys].dims[1] * ((size_t(call[append_kv::kK].dims[0]) + kAppendRows - 1) / kAppendRows);
}

// The rows [first, end) of a head. `prepare` is called for each before it is read.
template <typename E, typename Prepare>
QUIPU_INLINE void appendRows(const OpCall& call, size_t head, size_t first, size_t end, Worker& worker,
                             Prepare prepare) {
  const View &keys = call[append_kv::kKeys], &k = call[append_kv::kK];
  const size_t heads = keys.dims[1], size = keys.dims[2];
  const CachePlaces places =
      placesOf(call[append_kv::kSlots], call[append_kv::kPositions], call[append_kv::kPageTable], keys);
  for (size_t row = first; row < end; ++row) {
    if (places.padding(row)) continue;
    const auto position = uint32_t(places.positions[row]);
    const int64_t page = places.page(row, position / kPageKeys);
    if (page < 0) {
      worker.fail(ErrorCode::kInternal, uint32_t(row));
      continue;
    }
    prepare(row, head);
    const size_t unit = size_t(page) * heads + head, at = position % kPageKeys;
    const float* key = k.as<float>() + (row * heads + head) * size;
    const float* value = call[append_kv::kV].as<float>() + (row * heads + head) * size;
    E* keyPage = keys.as<E>() + unit * size * kPageKeys;
    E* valueRow = call[append_kv::kValues].as<E>() + (unit * kPageKeys + at) * size;
    if constexpr (sizeof(E) == 1) {
      auto* rotated = reinterpret_cast<float*>(worker.scratch);
      const auto setKey = [&](size_t c, const int8_t* codes, size_t n) {
        for (size_t i = 0; i < n; ++i) keyPage[keyCode(size, c + i, at)] = codes[i];
      };
      const auto setValue = [&](size_t c, const int8_t* codes, size_t n) { __builtin_memcpy(valueRow + c, codes, n); };
      call[append_kv::kKeyScales].as<float>()[unit * kPageKeys + at] =
          storeI8(rotatedOf(key, rotated, size), size, setKey);
      call[append_kv::kValueScales].as<float>()[unit * kPageKeys + at] =
          storeI8(rotatedOf(value, rotated, size), size, setValue);
    } else {
      storeHead(key, value, keyPage + at, valueRow, size);
    }
  }
}

// A task of appendKv.
template <typename Prepare>
QUIPU_INLINE void appendTask(const OpCall& call, size_t task, Worker& worker, Prepare prepare) {
  const size_t rows = call[append_kv::kK].dims[0], chunks = (rows + kAppendRows - 1) / kAppendRows;
  const size_t head = task / chunks, first = task % chunks * kAppendRows;
  const size_t end = first + kAppendRows < rows ? first + kAppendRows : rows;
  switch (call[append_kv::kKeys].dtype) {
    case DType::kF32:
      return appendRows<float>(call, head, first, end, worker, prepare);
    case DType::kF16:
      return appendRows<F16>(call, head, first, end, worker, prepare);
    case DType::kI8:
      return appendRows<int8_t>(call, head, first, end, worker, prepare);
    case DType::kBF16:
    case DType::kI32:
    case DType::kQ8:
    case DType::kQ6:
    case DType::kQ4:
      return;  // refused by op_table.cc
  }
}

static void appendKv(const OpCall& call, Worker& worker) {
  for (size_t task; worker.next(task);) appendTask(call, task, worker, [](size_t, size_t) {});
}
