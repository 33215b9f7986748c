// Emulated memory with what is known of each byte: whether it belongs to anything, whether it was written, and who used
// it last (shadow.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace quipu::simt {

constexpr uint32_t kNoBlock = 0;

enum class Wrote : uint8_t {
  kPlain,
  kAtomic,
  kInFlight,  // by an async copy that nobody has waited for
};

// Who wrote last. Blocks are numbered through all launches; a block's epoch counts its barriers, a warp's stamp the
// meetings of its threads (ordering.h).
struct Writer {
  uint32_t block = kNoBlock;
  uint32_t epoch = 0;
  uint32_t stamp = 0;
  uint32_t site = 0;  // offset of the code in this module
  uint16_t thread = 0;
  Wrote how = Wrote::kPlain;
};

enum class Spread : uint8_t { kLanes, kBlock, kGrid };

// Who has read since: lanes of one warp, threads of one block or of several.
struct Reader {
  uint32_t block = kNoBlock;  // the last one
  uint32_t epoch = 0;         // of the last read
  uint32_t stamp = 0;
  uint32_t site = 0;
  uint32_t lanes = 0;  // Spread::kLanes
  uint16_t warp = 0;
  Spread spread = Spread::kLanes;
};

struct Use {
  Writer writer;
  Reader reader;
};

// The use of four bytes: one for all, or one of each byte where threads use them apart.
struct Cell {
  Use use;
  std::unique_ptr<std::array<Use, 4>> bytes;
};

constexpr size_t kPageBytes = 4096;

struct Page {
  std::array<uint64_t, kPageBytes / 64> valid = {};  // a bit a byte: it belongs to an allocation
  std::array<uint64_t, kPageBytes / 64> written = {};
  std::unique_ptr<Cell[]> cells;  // once there was a use

  Cell& cell(size_t offset);
};

// A range of host addresses that stands for memory of the device. Its pages are made as they are used.
class Region {
 public:
  Region() = default;
  Region(std::byte* base, size_t bytes);

  std::byte* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  bool contains(const void* address) const { return offsetOf(address) < bytes_; }
  size_t offsetOf(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(base_);
  }

  // Null where nothing was ever allocated.
  Page* page(size_t offset) const { return pages_[offset / kPageBytes].get(); }
  // Offsets and sizes below are inside the region.
  void setValid(size_t offset, size_t bytes, bool valid);
  void setWritten(size_t offset, size_t bytes, bool written);
  bool isValid(size_t offset, size_t bytes) const;
  bool isWritten(size_t offset, size_t bytes) const;
  // Forgets all uses of whole pages in the range.
  void forget(size_t offset, size_t bytes);

 private:
  using Bits = std::array<uint64_t, kPageBytes / 64> Page::*;
  void set(Bits bits, size_t offset, size_t bytes, bool value);
  bool all(Bits bits, size_t offset, size_t bytes) const;

  std::byte* base_ = nullptr;
  size_t bytes_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace quipu::simt
