// matmulAdd: out = residual + a · bᵀ, as matmul and add one after the other. The sums go to out, and a part of them has
// the residual added as soon as it is whole, while it is in cache. So out may not be the residual: over more than
// kBlock features the sum of the first block would take its place. Moves the weights and 8 bytes a result; saves add's
// phase and its 12 bytes an element.

static void matmulAddRun(const OpCall& call, Worker& worker) {
  const View &a = call[matmul_add::kA], &b = call[matmul_add::kB];
  const size_t pitch = b.dims[0];
  const float* residual = call[matmul_add::kResidual].as<float>();
  float* out = call[matmul_add::kOut].as<float>();
  const auto addResidual = [&](size_t t, size_t end, size_t n, size_t last) {
    for (; t < end; ++t) {
      float* to = out + t * pitch + n;
      addElements(residual + t * pitch + n, to, to, last - n);
    }
  };
  eachTaskRows(a, b, worker, [&](size_t first, size_t last) {
    multiplyRows(a, b, first, last, out + first, pitch, worker, addResidual);
  });
}
