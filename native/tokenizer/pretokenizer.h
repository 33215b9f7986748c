// Pretokenizers: the split patterns of published tokenizers as hand-written state machines on UTF-8. The expressions
// are written for engines that backtrack; what each machine does instead is said beside it (split_patterns.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quipu::tokenizer {

enum class Pattern : uint8_t {
  kLlama3,      // meta-llama/llama-models, llama3/tokenizer.py
  kCl100k,      // openai/tiktoken: as Llama 3's, but white space at the end of the text is one piece
  kO200k,       // openai/tiktoken
  kGpt2,        // openai/gpt-2, encoder.py; tokenizer.json names it by ByteLevel's use_regex
  kGpt2Digits,  // each \p{N} alone, GPT-2 between them (SmolLM: Digits, then ByteLevel)
  kQwen2,       // Qwen 2 to 3: as Llama 3's, but each number alone
  kQwen35,      // Qwen 3.5: and marks are letters
  kTekken,      // Mistral NeMo: as o200k, but each number alone, and no contractions
  kDeepSeekV2,  // DeepSeek LLM and V2: six splits one after another
  kDeepSeekV3,  // DeepSeek V3 and R1: three
};

constexpr uint8_t kPatterns = 10;

// The end of the piece of text[0, end) that begins at `at` < end. The text is valid UTF-8, `at` a boundary of its
// pieces. Every byte belongs to a piece: what no alternative of a pattern matches would be one too, but these match
// everything. Linear in the piece and the run of white space or letters after it, and so in the text.
size_t pieceEnd(Pattern pattern, const uint8_t* text, size_t at, size_t end);

}  // namespace quipu::tokenizer
