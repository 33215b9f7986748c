// What ops share that multiply the norm of rows: the norm [T, K] and what products want made of it (codes, panels),
// both in the op's memory, each made once however many products there are. Codes are made of a row of the norm while it
// is in L1, in one phase with it; panels, which are for many rows, in a phase of their own.

// Products of the norm by kCount matrices, in the memory of an op from `shared` on. It may be null, to know the bytes.
template <size_t kCount>
struct NormProducts {
  View norm;  // [T, K] f32
  const View* b[kCount];
  std::byte* made[kCount];  // what matrix i's product reads: for those of one kind the same
  size_t bytes;

  NormProducts(std::byte* shared, const View& x, const View* const (&matrices)[kCount])
      : norm{shared, DType::kF32, {x.dims[0], x.dims[1], 1, 1}, 0},
        bytes(wholeLines(size_t(x.dims[0]) * x.dims[1] * 4)) {
    for (size_t i = 0; i < kCount; ++i) {
      b[i] = matrices[i];
      const size_t first = firstAlike(i);
      made[i] = first < i ? made[first] : placeIn(shared, bytes);
      if (first == i) bytes += wholeLines(multiplySharedBytes(norm, *b[i]));
    }
  }
  // The first matrix whose product reads what that of matrix i does.
  size_t firstAlike(size_t i) const {
    size_t first = 0;
    while (kindOf(*b[first]) != kindOf(*b[i])) first += 1;
    return first;
  }

 private:
  enum class Kind { kRows, kPanels, kQ8, kQ6, kQ4 };
  Kind kindOf(const View& matrix) const {
    if (matrix.dtype == DType::kQ4) return Kind::kQ4;
    if (isScaled(matrix.dtype)) return matrix.dtype == DType::kQ8 ? Kind::kQ8 : Kind::kQ6;
    return usesPanels(norm, matrix) ? Kind::kPanels : Kind::kRows;
  }
};

// The phase of norms, a task a row.
template <size_t kCount>
QUIPU_INLINE void normRows(const NormProducts<kCount>& products, const View& x, const View& weight, float epsilon,
                           Worker& worker) {
  const size_t width = x.dims[1];
  for (size_t row; worker.next(row);) {
    rmsNormRow(x.as<float>() + row * width, weight, products.norm.template as<float>() + row * width, width, epsilon);
    for (size_t i = 0; i < kCount; ++i) {
      if (!isPacked(products.b[i]->dtype) || products.firstAlike(i) < i) continue;
      multiplyPackTask(products.norm, *products.b[i], row, products.made[i]);
    }
  }
}

// The phase of panels: its tasks are none where no product uses them.
template <size_t kCount>
QUIPU_INLINE size_t normPanelTasks(const NormProducts<kCount>& products) {
  for (const View* b : products.b) {
    if (usesPanels(products.norm, *b)) return multiplyPackTasks(products.norm, *b);
  }
  return 0;
}

template <size_t kCount>
QUIPU_INLINE void normPanels(const NormProducts<kCount>& products, Worker& worker) {
  size_t i = 0;
  while (!usesPanels(products.norm, *products.b[i])) i += 1;
  for (size_t task; worker.next(task);) multiplyPackTask(products.norm, *products.b[i], task, products.made[i]);
}
