// Two words mixed into one, for hashes and checksums. Not seeded: who controls what is hashed can make it slow, or a
// sum that fits.
#pragma once

#include <cstdint>

namespace quipu {

inline uint64_t mixed(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xe7037ed1a0b428db);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace quipu
