# The emulator's files, and how kernels are compiled for it: by the host's compiler, as C++, with the sanitizers' hooks
# that the library (hooks.cc) answers. Included by CMakeLists.txt and test/native/simt.
set(QUIPU_SIMT_SOURCES
  access.cc
  async_copy.cc
  atomics.cc
  block_functions.cc
  built_ins.cc
  fiber.cc
  half.cc
  hooks.cc
  machine_memory.cc
  meeting.cc
  memory.cc
  ordering.cc
  recording.cc
  report.cc
  runtime.cc
  runtime_memory.cc
  scheduler.cc
  settings.cc
  stream.cc
  tensor_core.cc)
list(TRANSFORM QUIPU_SIMT_SOURCES PREPEND "${CMAKE_CURRENT_LIST_DIR}/")

# -fno-tree-sra and the vectorizers: accesses stay as they were written. -g: reports name lines, through inlined calls.
set(QUIPU_SIMT_KERNEL_FLAGS -x c++ -O2 -g -ffp-contract=off
  -fsanitize=thread -fsanitize=alignment,bounds,shift
  --param=tsan-instrument-func-entry-exit=0 --param=tsan-distinguish-volatile=1
  -fno-tree-sra -fno-ipa-sra -fno-tree-vectorize -fno-store-merging -Wno-unknown-pragmas -Wno-maybe-uninitialized)

# Files of kernels, for whatever target has them.
function(quipu_simt_kernels)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${QUIPU_SIMT_KERNEL_FLAGS}")
endfunction()
