// normQkv: rmsNorm of x, the products of it by three matrices, rope of queries and keys, and appendKv, as one after
// another. Phases: norms (norm_products.h), panels, products, then rope and cache. The tasks of the products are those
// of the queries, the keys and the values behind each other: a thread that has none of one goes on with the next. Of a
// decode step's eleven phases it leaves three.
//
//   shared    what norm_products.h says, then keys [T, G · d] and values [T, G · d]
//   scratch   that of a product; that of appendKv, then the angles of a row

struct QkvParts {
  NormProducts<3> products;
  View sums[3];  // [T, N] of each: the result, and keys and values
  size_t bytes;

  QkvParts(const OpCall& call, std::byte* shared)
      : products(shared, call[norm_qkv::kX], {&call[norm_qkv::kQuery], &call[norm_qkv::kKey], &call[norm_qkv::kValue]}),
        sums{call[norm_qkv::kOut], rowsOf(call, placeIn(shared, products.bytes)), {}} {
    const size_t each = wholeLines(size_t(sums[1].dims[0]) * sums[1].dims[1] * 4);
    sums[2] = rowsOf(call, placeIn(shared, products.bytes + each));
    bytes = products.bytes + 2 * each;
  }
  size_t rows() const { return products.norm.dims[0]; }
  Shares shares(size_t i, uint32_t threads) const { return multiplyShares(rows(), *products.b[i], threads); }

 private:
  static View rowsOf(const OpCall& call, std::byte* data) {
    return {data, DType::kF32, {call[norm_qkv::kX].dims[0], call[norm_qkv::kKey].dims[0], 1, 1}, 0};
  }
};

// Calls f with the call of appendKv that is a part of this op.
template <typename F>
QUIPU_INLINE auto asAppendKv(const OpCall& call, const QkvParts& parts, F f) {
  constexpr uint32_t kCount = append_kv::kValueScales + 1;
  View operands[kCount] = {};
  operands[append_kv::kK] = parts.sums[1];
  operands[append_kv::kV] = parts.sums[2];
  operands[append_kv::kSlots] = call[norm_qkv::kSlots];
  operands[append_kv::kPositions] = call[norm_qkv::kPositions];
  operands[append_kv::kPageTable] = call[norm_qkv::kPageTable];
  operands[append_kv::kKeys] = call[norm_qkv::kKeys];
  operands[append_kv::kValues] = call[norm_qkv::kValues];
  if (call[norm_qkv::kKeys].dtype == DType::kI8) {
    operands[append_kv::kKeyScales] = call[norm_qkv::kKeyScales];
    operands[append_kv::kValueScales] = call[norm_qkv::kValueScales];
  }
  return f(OpCall{operands, kCount, nullptr});
}

static size_t normQkvScratchBytes(const OpCall& call) {
  const QkvParts parts(call, nullptr);
  size_t most = wholeLines(asAppendKv(call, parts, appendKvScratchBytes)) +
                size_t(call[norm_qkv::kAngles].dims[1]) * kRopeAngleBytes;
  for (const View* b : parts.products.b) {
    const size_t own = multiplyScratchBytes(parts.products.norm, *b);
    most = own > most ? own : most;
  }
  return most;
}

static size_t normQkvSharedBytes(const OpCall& call) { return QkvParts(call, nullptr).bytes; }

static size_t qkvNormTasks(const OpCall& call, uint32_t) { return call[norm_qkv::kX].dims[0]; }

static void qkvNorm(const OpCall& call, Worker& worker) {
  normRows(QkvParts(call, worker.shared).products, call[norm_qkv::kX], call[norm_qkv::kNorm],
           call.floatAttribute(norm_qkv::kEpsilon), worker);
}

static size_t qkvPanelTasks(const OpCall& call, uint32_t) { return normPanelTasks(QkvParts(call, nullptr).products); }

static void qkvPanels(const OpCall& call, Worker& worker) {
  normPanels(QkvParts(call, worker.shared).products, worker);
}

static size_t qkvTasks(const OpCall& call, uint32_t threads) {
  const QkvParts parts(call, nullptr);
  size_t tasks = 0;
  for (size_t i = 0; i < 3; ++i) tasks += parts.shares(i, threads).tasks();
  return tasks;
}

static void qkvRun(const OpCall& call, Worker& worker) {
  const QkvParts parts(call, worker.shared);
  Shares shares[3];
  size_t tasks[3];
  for (size_t i = 0; i < 3; ++i) tasks[i] = (shares[i] = parts.shares(i, worker.threads)).tasks();
  for (size_t task; worker.next(task);) {
    size_t i = 0;
    for (; task >= tasks[i]; ++i) task -= tasks[i];
    const Share share = shares[i].at(task);
    worker.shared = parts.products.made[i];  // where a product looks for it
    multiplyRows(parts.products.norm, *parts.products.b[i], share.first, share.last,
                 parts.sums[i].as<float>() + share.first, parts.sums[i].dims[1], worker, asTheyAre);
  }
}

// Queries are turned a row a task, keys with the tasks of appendKv, just before they are stored.
static size_t qkvStoreTasks(const OpCall& call, uint32_t threads) {
  const QkvParts parts(call, nullptr);
  return parts.rows() + asAppendKv(call, parts, [&](const OpCall& part) { return appendKvTasks(part, threads); });
}

static void qkvStore(const OpCall& call, Worker& worker) {
  const QkvParts parts(call, worker.shared);
  const View& angles = call[norm_qkv::kAngles];
  const size_t half = angles.dims[1], width = parts.sums[0].dims[1], size = 2 * half;
  asAppendKv(call, parts, [&](const OpCall& part) {
    auto* cosines = reinterpret_cast<float*>(worker.scratch + wholeLines(appendKvScratchBytes(part)));
    const auto unzip = [&](size_t row) { unzipAngles(angles.as<float>() + row * 2 * half, half, cosines); };
    const auto turnKey = [&](size_t row, size_t head) {
      unzip(row);
      float* key = parts.sums[1].as<float>() + row * parts.sums[1].dims[1] + head * size;
      ropeHeads(key, key, size, cosines, half);
    };
    for (size_t task; worker.next(task);) {
      if (task >= parts.rows()) {
        appendTask(part, task - parts.rows(), worker, turnKey);
      } else {
        unzip(task);
        float* query = parts.sums[0].as<float>() + task * width;
        ropeHeads(query, query, width, cosines, half);
      }
    }
  });
}
