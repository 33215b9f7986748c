// Loads the vocabulary of a file, through a prepared table where there is one. A prepared table is the block of memory
// that the tables lie in (tables.h), written to a cache folder and mapped from then on. It is used only if it was made
// from this very file (size, time, inode), by this version, and is undamaged to its last byte; else it is made anew. A
// folder that cannot be written is no error: then nothing is prepared.
#pragma once

#include <memory>
#include <string>

#include "core/error.h"
#include "tokenizer/tables.h"

namespace quipu::tokenizer {

enum class VocabularyFormat { kRankFile, kTokenizerJson };

struct Vocabulary {
  std::shared_ptr<const Tables> tables;  // null: see tokenizer_json.h
  std::string document, problem;
};

// `preparedPath` may be empty. Whether a prepared table was used is left in `prepared`.
Status loadVocabulary(const std::string& path, VocabularyFormat format, const std::string& preparedPath,
                      Vocabulary& out, bool& prepared);

}  // namespace quipu::tokenizer
