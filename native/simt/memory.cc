#include "simt/memory.h"

#include <algorithm>

namespace quipu::simt {

namespace {

// `n` bits from bit `first` on of a word.
uint64_t bitsOf(size_t first, size_t n) { return (n == 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1) << first; }

// Calls f(page, word, mask) for every word of bits of the range, until it returns false.
template <typename F>
bool eachWord(size_t offset, size_t bytes, F&& f) {
  const size_t end = offset + bytes;
  while (offset < end) {
    const size_t first = offset % 64, n = std::min(64 - first, end - offset);
    if (!f(offset / kPageBytes, offset % kPageBytes / 64, bitsOf(first, n))) return false;
    offset += n;
  }
  return true;
}

}  // namespace

Cell& Page::cell(size_t offset) {
  if (cells == nullptr) cells = std::make_unique<Cell[]>(kPageBytes / 4);
  return cells[offset % kPageBytes / 4];
}

Region::Region(std::byte* base, size_t bytes)
    : base_(base), bytes_(bytes), pages_((bytes + kPageBytes - 1) / kPageBytes) {}

void Region::set(Bits bits, size_t offset, size_t bytes, bool value) {
  eachWord(offset, bytes, [&](size_t page, size_t word, uint64_t mask) {
    std::unique_ptr<Page>& p = pages_[page];
    if (p == nullptr) p = std::make_unique<Page>();
    uint64_t& w = ((*p).*bits)[word];
    w = value ? w | mask : w & ~mask;
    return true;
  });
}

bool Region::all(Bits bits, size_t offset, size_t bytes) const {
  return eachWord(offset, bytes, [&](size_t page, size_t word, uint64_t mask) {
    const Page* p = pages_[page].get();
    return p != nullptr && (((*p).*bits)[word] & mask) == mask;
  });
}

void Region::setValid(size_t offset, size_t bytes, bool valid) { set(&Page::valid, offset, bytes, valid); }
void Region::setWritten(size_t offset, size_t bytes, bool written) { set(&Page::written, offset, bytes, written); }
bool Region::isValid(size_t offset, size_t bytes) const { return all(&Page::valid, offset, bytes); }
bool Region::isWritten(size_t offset, size_t bytes) const { return all(&Page::written, offset, bytes); }

void Region::forget(size_t offset, size_t bytes) {
  const size_t end = (offset + bytes) / kPageBytes;
  for (size_t page = (offset + kPageBytes - 1) / kPageBytes; page < end; ++page) pages_[page].reset();
}

}  // namespace quipu::simt
