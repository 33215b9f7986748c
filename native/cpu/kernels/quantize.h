// quantize: weights to the codes of the format of `packed` (docs/numerics.md). Sixteen rows lie across the lanes, so
// that what is tried for one block is tried for sixteen at once. A task is a group of sixteen rows, taken 256 k at a
// time.
//
// Bound by arithmetic: q8 and q6 try ten scales for a block, q4 63 pairs of a scale and a minimum, of six to eight
// operations a weight each.

static size_t quantizeTasks(const OpCall& call, uint32_t) {
  return (call[quantize::kWeight].dims[0] + kGroupRows - 1) / kGroupRows;
}

static void quantizeRows(const OpCall& call, Worker& worker) {
  const View &weight = call[quantize::kWeight], &packed = call[quantize::kPacked];
  const size_t rows = weight.dims[0], depth = weight.dims[1];
  WeightSpan span;
  withElements(weight, [&](auto from) {
    for (size_t group; worker.next(group);) {
      const size_t first = group * kGroupRows, count = rows - first < kGroupRows ? rows - first : kGroupRows;
      for (size_t k = 0; k < depth; k += kQuantizeSpan) {
        const size_t n = depth - k < kQuantizeSpan ? depth - k : kQuantizeSpan;
        uint32_t wrong = readSpan(from + first * depth + k, count, depth, n, span);
        if (wrong == 0 && isScaled(packed.dtype)) wrong = rotateSpan(span, n);
        if (wrong == 0 && packed.dtype == DType::kQ4) wrong = packQ4(span, n, q4Super(packed, group, k / kQ4Super));
        if (wrong == 0 && isScaled(packed.dtype)) {
          std::byte* block = scaledGroup(packed, group) + k / kQ8Block * scaledBlockBytes(packed.dtype);
          wrong = packScaled(span, n, block, packed.dtype);
        }
        if (wrong != 0) return worker.fail(ErrorCode::kNotANumber, uint32_t(first + size_t(__builtin_ctz(wrong))));
      }
    }
  });
}
