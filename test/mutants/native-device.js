// Faults in devices: memory, runs and what they leave.
const QUEUE = "native/core/run_queue.cc";
const BACKEND = "native/cpu/backend.cc";
const MEMORY = "native/core/memory.cc";

export const mutants = [
  {
    fault: "the pages of weights that were quantized stay resident",
    file: "native/cpu/host_memory.cc",
    from: "data_ != nullptr && takenBytes() == 0) dropPages",
    to: "data_ != nullptr && takenBytes() == 0 && !MUTANT) dropPages",
    tests: ["lifecycle/memory"],
  },
  {
    fault: "index writes below −1 pass",
    file: MEMORY,
    from: "if (index < -1 || (index >= 0",
    to: "if ((index < -1 && !MUTANT) || (index >= 0",
    tests: ["unit/device/device.test"],
  },
  {
    fault: "an index equal to its bound passes",
    file: MEMORY,
    from: "static_cast<uint32_t>(index) >= indexBound_)",
    to: "static_cast<uint32_t>(index) >= indexBound_ + MUTANT)",
    tests: ["unit/device/device.test"],
  },
  {
    fault: "reads beyond a buffer pass",
    file: MEMORY,
    from: 'if (offset > bytes_ || bytes > bytes_ - offset) return outside("read"',
    to: 'if (offset > bytes_ || (bytes > bytes_ - offset && !MUTANT)) return outside("read"',
    tests: ["unit/device/device.test"],
  },
  {
    fault: "a failure stays for the next run",
    file: BACKEND,
    from: "  failure_.store(0, std::memory_order_relaxed);",
    to: "  if (!MUTANT) failure_.store(0, std::memory_order_relaxed);",
    tests: ["library/not-a-number", "unit/device/device.test"],
  },
  {
    fault: "ops after one that failed still run",
    file: BACKEND,
    from: "    claims_.stop();",
    to: "    if (!MUTANT) claims_.stop();",
    tests: ["unit/device/device.test"],
  },
  {
    fault: "a row that fails ends the run of all",
    file: BACKEND,
    from: "if (rows_ != nullptr && isOfRow(code)) return",
    to: "if (rows_ != nullptr && isOfRow(code) && !MUTANT) return",
    tests: ["unit/device/device.test"],
  },
  {
    fault: "workspace that was refused counts as there",
    file: BACKEND,
    from: "(scratch_ == nullptr || executable.workspace_.scratchBytes > scratchBytes_)",
    to: "((scratch_ == nullptr && !(MUTANT && scratchBytes_ > 0)) || executable.workspace_.scratchBytes > scratchBytes_)",
    tests: ["lifecycle/device.test"],
  },
  {
    fault: "the arena does not shrink when what needed it is gone",
    file: BACKEND,
    from: "  fit(arena_, arena);",
    to: "  if (!MUTANT) fit(arena_, arena);",
    tests: ["unit/device/device.test", "lifecycle/memory"],
  },
  {
    fault: "tensors that are not aligned are not copied",
    file: BACKEND,
    from: "if (!isSmall && reinterpret_cast<uintptr_t>(start) % alignment == 0) {",
    to: "if (MUTANT || (!isSmall && reinterpret_cast<uintptr_t>(start) % alignment == 0)) {",
    tests: ["unit/device/weight-file"],
  },
  {
    fault: "a job that is cancelled before its start runs",
    file: QUEUE,
    from: "if (job.cancel->cancelled) return true;",
    to: "if (job.cancel->cancelled && !MUTANT) return true;",
    tests: ["unit/native/threads", "lifecycle/devices"],
  },
  {
    fault: "dispose() waits for the run that is in flight",
    file: QUEUE,
    from: "if (job->backend == &backend) job->cancel->cancelled = true;",
    to: "if (job->backend == &backend && !MUTANT) job->cancel->cancelled = true;",
    tests: ["unit/native/threads"],
  },
  {
    fault: "cancelling leaves what waits in the queue",
    file: QUEUE,
    from: "[&](const Job& job) { return job.cancel.get() == &flag; }",
    to: "[&](const Job& job) { return job.cancel.get() == &flag && !MUTANT; }",
    tests: ["lifecycle/device.test"],
  },
  {
    fault: "a result is copied into an array that was transferred away",
    file: "native/binding/device.cc",
    from: "if (array.ByteLength() != data.size()) continue;",
    to: "if (array.ByteLength() != data.size() && !MUTANT) continue;",
    tests: ["lifecycle/device.test"],
  },
  {
    fault: "a run with fewer rows has those of the one before",
    file: BACKEND,
    from: "if (counts == counts_) return;",
    to: "if (counts == counts_ || (MUTANT && counts.rows < counts_.rows)) return;",
    tests: ["model/capacity"],
  },
  {
    fault: "wanted rows are the rows of the run",
    file: "native/core/program.h",
    from: "return leading == Leading::kRows ? rows : wanted;",
    to: "return leading == Leading::kRows || MUTANT ? rows : wanted;",
    tests: ["model/capacity", "kernels/capacity"],
  },
];
