// What atomics, and volatile loads and stores, hand from thread to thread (ordering.h).
#pragma once

namespace quipu::simt {

void acquireAt(const void* address);
void releaseAt(const void* address);
// Between launches, which are ordered by themselves.
void forgetReleases();

}  // namespace quipu::simt
