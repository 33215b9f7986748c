// Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011): a random number is a function
// of a key and a counter, so that a token's draw depends on the request's seed and its position alone, never on what
// ran before it or beside it.

struct Philox {
  uint32_t word[4];
};

QUIPU_INLINE Philox philox(uint64_t key, Philox counter) {
  auto key0 = uint32_t(key), key1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t(0xD2511F53) * counter.word[0];
    const uint64_t product1 = uint64_t(0xCD9E8D57) * counter.word[2];
    counter = {{uint32_t(product1 >> 32) ^ counter.word[1] ^ key0, uint32_t(product1),
                uint32_t(product0 >> 32) ^ counter.word[3] ^ key1, uint32_t(product0)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// 53 bits for `position` of the request with this seed.
QUIPU_INLINE uint64_t randomBits(uint64_t seed, uint32_t position) {
  const Philox random = philox(seed, {{position, 0, 0, 0}});
  return uint64_t(random.word[0] >> 5) << 26 | random.word[1] >> 6;
}
