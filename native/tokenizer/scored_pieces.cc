#include "tokenizer/scored_pieces.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tokenizer/table_builder.h"

namespace quipu::tokenizer {

namespace {

Status invalid(size_t id, const std::string& problem) {
  return Status::error(ErrorCode::kTokenizerInvalid, "piece " + std::to_string(id) + problem);
}

}  // namespace

Status tablesOf(const ScoredPieces& pieces, std::shared_ptr<Tables>& out) {
  TableBuilder builder(Tables::kScores, pieces.texts.size(), Unit::kCharacter);
  for (const uint32_t priority : pieces.priorities) {
    if (priority >= kMaxMerges) return Status::error(ErrorCode::kInternal, "a priority beyond those of merges");
  }
  size_t start = 0;
  for (uint32_t id = 0; id < pieces.ends.size(); ++id) {
    const size_t end = pieces.ends[id];
    if (end < start || end > pieces.texts.size()) return invalid(id, ": pieces out of order");
    const size_t bytes = end - start;
    if (bytes > kMaxTokenBytes) return invalid(id, ": expected at most " + std::to_string(kMaxTokenBytes) + " bytes");
    const uint8_t* const text = pieces.texts.data() + start;
    if (bytes > 0) memcpy(builder.next(), text, bytes);
    const auto kind = static_cast<PieceKind>(pieces.kinds[id]);
    if (kind == PieceKind::kByte && bytes == 6) {
      const std::string digits(text + 3, text + 5);
      builder.setFallback(static_cast<uint8_t>(strtoul(digits.c_str(), nullptr, 16)), id);
    }
    builder.add(id, builder.next() + bytes, kind == PieceKind::kMerges && bytes > 0);
    start = end;
  }
  if (const auto twice = builder.indexTokens(); twice.index != TableBuilder::kNone) {
    return invalid(twice.index, ": its text is that of another");
  }
  builder.setPriorities({pieces.priorities.begin(), pieces.priorities.end()});
  return builder.finish({}, out);
}

}  // namespace quipu::tokenizer
