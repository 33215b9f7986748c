// Faults in the CUDA device around its kernels: the memory that programs share.
const EXECUTABLE = "native/cuda/executable.cc";

const memory = ["lifecycle/cuda-memory"];

export const mutants = [
  {
    fault: "what was captured stays so where the arena has moved",
    file: EXECUTABLE,
    from: "  ++generation_;",
    to: "  if (!(MUTANT && generation_ > 0)) ++generation_;",
    tests: memory,
  },
  {
    fault: "the workspace is that of the last op, not of the largest",
    file: EXECUTABLE,
    from: "workspace = std::max(workspace, kernels->workspaceBytes(call));",
    to: "workspace = std::max(MUTANT ? 0 : workspace, kernels->workspaceBytes(call));",
    tests: memory,
  },
  {
    fault: "an arena that is large enough is taken for enough workspace",
    file: EXECUTABLE,
    from: "sizes.workspace <= sizes_.workspace &&",
    to: "(MUTANT || sizes.workspace <= sizes_.workspace) &&",
    tests: memory,
  },
];
