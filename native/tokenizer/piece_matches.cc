#include "tokenizer/piece_matches.h"

namespace quipu::tokenizer {

void PieceMatches::walk(size_t start) {
  const size_t most = bytes_ - start;
  const uint8_t* const p = piece_ + start;
  uint32_t* const tokens = tokens_[start];
  uint32_t children = Tables::kRootChildren;
  uint64_t ends = 0;
  size_t i = 0;
  do {
    const uint32_t byte = p[i];
    const TrieSlot node = tables_.childOf(children, byte);
    if (node.byteAndToken >> 24 != byte) break;
    const uint32_t token = node.byteAndToken & kNoToken;
    tokens[i] = token;
    ends |= static_cast<uint64_t>(token != kNoToken) << i;
    children = node.children;
  } while (++i < most);
  ends_[start] = ends << (start + 1);
  known_ |= uint64_t{1} << start;
}

}  // namespace quipu::tokenizer
