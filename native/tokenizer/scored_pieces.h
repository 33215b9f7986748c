// The pieces of a SentencePiece model as tables: two merge where their text together is a piece, that of the lowest
// priority number first.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/error.h"
#include "tokenizer/tables.h"

namespace quipu::tokenizer {

enum class PieceKind : uint8_t {
  kMerges,  // text becomes it
  kOther,   // it does not
  kByte,    // it stands for a byte, <0x00> to <0xFF>: text does not become it
};

// One after another, by id: texts that end at `ends`, valid UTF-8; for each a priority below kMaxMerges and a kind.
struct ScoredPieces {
  std::span<const uint8_t> texts;
  std::span<const uint32_t> ends, priorities;
  std::span<const uint8_t> kinds;
};

// kTokenizerInvalid for one that is there twice.
Status tablesOf(const ScoredPieces& pieces, std::shared_ptr<Tables>& out);

}  // namespace quipu::tokenizer
