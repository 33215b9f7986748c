// Faults in what kernels say in PTX, which the emulator of their sources does not read. The interpreter of what nvcc emits has to see them
// (test/cuda/ptx), in launches of one kernel of a file.
const GPU = "native/cuda/gpu.h";
const KERNEL = "native/cuda/kernels/product_kernel.h";
const of = (kernel, source = "native/cuda/kernels/product.cu") => ({ source, kernel });
const dense = of("productKernel<DenseFormat, 2, false, StoreOp>");
const nibbles = of("productKernel<PackedFormat<(DType)7>, 1, false, StoreOp>");
const chunk = of("chunkKernel<64>", "native/cuda/kernels/attention.cu");

export const mutants = [
  {
    fault: "parts of the weights are swapped in products of f16",
    file: GPU,
    from: ".f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9},",
    to: ".f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%6,%5,%7}, {%8,%9},",
    ptx: dense,
  },
  {
    fault: "products of f16 do not add to what there is",
    file: GPU,
    from: 'f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"\n      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])',
    to: 'f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%1,%0,%2,%3};"\n      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])',
    ptx: dense,
  },
  {
    fault: "matrices come the other way round",
    file: GPU,
    from: "ldmatrix.sync.aligned.m8n8.x4.shared.b16",
    to: "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16",
    ptx: dense,
  },
  {
    fault: "two of four matrices are swapped",
    file: GPU,
    from: "shared.b16 {%0,%1,%2,%3}, [%4];",
    to: "shared.b16 {%0,%2,%1,%3}, [%4];",
    ptx: of("denseKernel<StoreOp>"),
  },
  {
    fault: "a group of copies too few is waited for",
    file: GPU,
    from: '"n"(kPending)',
    to: '"n"(kPending + 1)',
    ptx: dense,
  },
  {
    fault: "copies are never a group",
    file: GPU,
    from: 'asm volatile("cp.async.commit_group;");',
    to: 'asm volatile("");',
    ptx: chunk,
  },
  {
    fault: "f16 is rounded towards zero",
    file: GPU,
    from: 'asm("cvt.rn.f16.f32 %0, %1;"',
    to: 'asm("cvt.rz.f16.f32 %0, %1;"',
    ptx: of("appendKernel", "native/cuda/kernels/cache.cu"),
  },
  {
    fault: "pairs of f16 are the other way round",
    file: GPU,
    from: 'asm("cvt.rn.f16x2.f32 %0, %1, %2;"',
    to: 'asm("cvt.rn.f16x2.f32 %0, %2, %1;"',
    ptx: of("narrowKernel<(Narrow)0>"),
  },
  {
    fault: "operands of lop3 are the other way round",
    file: GPU,
    from: 'asm("lop3.b32 %0, %1, %2, %3, %4;"',
    to: 'asm("lop3.b32 %0, %3, %2, %1, %4;"',
    ptx: nibbles,
  },
  {
    fault: "a product of pairs is added to the wrong one",
    file: GPU,
    from: 'asm("fma.rn.f16x2 %0, %1, %2, %3;"',
    to: 'asm("fma.rn.f16x2 %0, %3, %2, %1;"',
    ptx: nibbles,
  },
  {
    fault: "weights are fetched twice",
    file: KERNEL,
    from: "    Format::template copy<Shape::kOnce>(stage, fetchRows, fetchK, lane, depth);\n",
    to: "    Format::template copy<Shape::kOnce>(stage, fetchRows, fetchK, lane, depth);\n    Format::template copy<Shape::kOnce>(stage, fetchRows, fetchK, lane, depth);\n",
    ptx: dense,
  },
];
