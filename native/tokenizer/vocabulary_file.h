// Loads the vocabulary of a file, through a prepared table where there is one: a prepared file (core/prepared_file.h)
// of the sections of the tables (tables.h), in a cache folder. It is made of this very file, which is told by size,
// time and inode. A folder that cannot be written is no error: then nothing is prepared.
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

// Where a prepared table is, and what it says of itself when it is made.
struct PreparedPlace {
  std::string path;  // may be empty: there is to be none
  std::string description;
};

// Whether a prepared table was used is left in `prepared`.
Status loadVocabulary(const std::string& path, VocabularyFormat format, const PreparedPlace& place, Vocabulary& out,
                      bool& prepared);

}  // namespace quipu::tokenizer
