#include "tokenizer/letter_case.h"

#include <algorithm>
#include <iterator>

namespace quipu::tokenizer {

namespace {

// Every `step`-th character from `first` to `last` is by `added` below or above its lower case.
struct LowerRun {
  uint32_t first, last, step;
  int32_t added;
};
struct MarkRun {
  uint32_t first, last;
};

#include "tokenizer/case_tables.inc"

// The run that `code` is in, or null.
template <typename Run, size_t N>
const Run* runOf(const Run (&runs)[N], uint32_t code) {
  const Run* const at =
      std::lower_bound(std::begin(runs), std::end(runs), code, [](const Run& run, uint32_t c) { return run.last < c; });
  return at != std::end(runs) && at->first <= code ? at : nullptr;
}

}  // namespace

uint32_t lowerCase(uint32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
  if (code == 0x130) return 'i';
  const LowerRun* const run = runOf(kLowerRuns, code);
  if (run == nullptr || (code - run->first) % run->step != 0) return code;
  return static_cast<uint32_t>(static_cast<int32_t>(code) + run->added);
}

bool isAccent(uint32_t code) { return code >= 0x300 && runOf(kMarkRuns, code) != nullptr; }

}  // namespace quipu::tokenizer
