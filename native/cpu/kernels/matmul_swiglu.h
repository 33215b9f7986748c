// matmulSwiglu: out = swiglu(a · gateᵀ, a · upᵀ), as two matmuls and swiglu one after the other. A task takes the same
// rows of both weights: gate's sums go to a tile of its own, up's to out, where a part of them becomes the result as
// soon as it is whole, while it is in cache. Moves both weights and 4 bytes a result; saves two phases, a value of [T,
// F] and 20 bytes an element.
//
// For one row of a the weights' rows are read side by side, two streams each: twice as long as four of one weight. With
// down's product behind it that takes 0.87 of the time of the plain ops (Zen 5, SmolLM2's shape, bf16 in DRAM); one
// weight after the other took 1.025.
//
//   scratch   that of the product, then the tile: [t][rows of the task]

// Of the tiles of the forms up to this number of rows the largest: few rows may have wider ones than many. With one
// thread a task has the most rows.
static size_t matmulSwigluScratchBytes(const OpCall& call) {
  const View &a = call[matmul_swiglu::kA], &gate = call[matmul_swiglu::kGate];
  size_t tile = 0;
  for (const size_t most : {kDotLimit, kPackedFewRows, kTileLimit, SIZE_MAX}) {
    const size_t rows = atMost(a.dims[0], most);
    const size_t own = multiplyShares(rows, gate, 1).mostRows() * rows;
    tile = own > tile ? own : tile;
  }
  return multiplyScratchBytes(a, gate) + tile * sizeof(float);
}

// The sums of weight rows [first, last) of both for the one row of a.
QUIPU_INLINE void dotPair(const View& a, const View& gate, const View& up, size_t first, size_t last, float* gateSums,
                          float* upSums) {
  const size_t depth = a.dims[1];
  withElements(gate, [&](auto gateRows) {
    const decltype(gateRows) upRows = static_cast<decltype(gateRows)>(up.data);
    dotRows(a.as<float>(), 1, depth,
            {DotRun{gateRows + first * depth, gateSums}, DotRun{upRows + first * depth, upSums}}, last - first, 0);
  });
}

static void matmulSwigluRun(const OpCall& call, Worker& worker) {
  const View &a = call[matmul_swiglu::kA], &gate = call[matmul_swiglu::kGate], &up = call[matmul_swiglu::kUp];
  const size_t pitch = gate.dims[0], tilePitch = multiplyShares(a.dims[0], gate, worker.threads).mostRows();
  float* tile = reinterpret_cast<float*>(worker.scratch + multiplyScratchBytes(a, gate));
  float* out = call[matmul_swiglu::kOut].as<float>();
  eachTaskRows(a, gate, worker, [&](size_t first, size_t last) {
    const auto finish = [&](size_t t, size_t end, size_t n, size_t nEnd) {
      for (; t < end; ++t) {
        float* to = out + t * pitch + n;
        swigluElements(tile + t * tilePitch + n - first, to, to, nEnd - n);
      }
    };
    if (a.dims[0] == 1 && !isPacked(gate.dtype)) {
      dotPair(a, gate, up, first, last, tile, out + first);
      return finish(0, 1, first, last);
    }
    multiplyRows(a, gate, first, last, tile, tilePitch, worker, asTheyAre);
    multiplyRows(a, up, first, last, out + first, pitch, worker, finish);
  });
}
