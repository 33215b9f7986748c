// Hashes of byte strings and pairs, for the open-addressing tables here. Not seeded: who controls a vocabulary can slow
// its own loading down, never make it wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/mixed.h"

namespace quipu::tokenizer {

// What is hashed lies in memory of which this much more may be read.
constexpr size_t kPadding = 16;

// Longest bytes that a key holds in full.
constexpr size_t kShort = 15;

// The first 16 bytes of a string, zeros after its end. For strings up to kShort the last byte is the length, so that
// the key is the string.
struct Key {
  uint64_t low, high;
  bool operator==(const Key&) const = default;
};

// Bits that belong to the first `bytes` ≤ 8 of a little-endian word.
inline uint64_t firstBytes(size_t bytes) { return bytes >= 8 ? ~0ull : (1ull << bytes * 8) - 1; }

inline Key shortKey(const uint8_t* p, size_t bytes) {
  Key key;
  memcpy(&key, p, sizeof key);
  key.low &= firstBytes(bytes);
  key.high &= bytes > 8 ? firstBytes(bytes - 8) : 0;
  key.high |= static_cast<uint64_t>(bytes) << 56;
  return key;
}

inline uint64_t hashOf(Key key) { return mixed(key.low, key.high); }

inline uint64_t hashLong(const uint8_t* p, size_t bytes) {
  uint64_t hash = bytes, words[2];
  for (size_t at = 0; at + 16 < bytes; at += 16) {
    memcpy(words, p + at, 16);
    hash = mixed(words[0] ^ hash, words[1]);
  }
  memcpy(words, p + bytes - 16, 16);
  return mixed(words[0] ^ hash, words[1]);
}

inline uint64_t hashOf(const uint8_t* p, size_t bytes) {
  return bytes <= kShort ? hashOf(shortKey(p, bytes)) : hashLong(p, bytes);
}

inline bool sameBytes(const uint8_t* a, const uint8_t* b, size_t bytes) {
  return bytes <= kShort ? shortKey(a, bytes) == shortKey(b, bytes) : memcmp(a, b, bytes) == 0;
}

}  // namespace quipu::tokenizer
