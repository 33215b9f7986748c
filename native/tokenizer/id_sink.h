// Where ids go: kept, or only counted.
#pragma once

#include <cstdint>
#include <span>

#include "tokenizer/growing_buffer.h"

namespace quipu::tokenizer {

class IdSink {
 public:
  explicit IdSink(bool keep) : keep_(keep) {}

  // As in GrowingBuffer.
  uint32_t* room(size_t ids) {
    if (!keep_ && ids_.size() > kBlock) dropped_ += ids_.size(), ids_.clear();
    return ids_.room(ids);
  }
  void advance(size_t ids) { ids_.advance(ids); }
  void push(uint32_t id) { *room(1) = id, advance(1); }

  uint64_t count() const { return dropped_ + ids_.size(); }
  std::span<const uint32_t> ids() const { return ids_.contents(); }
  uint32_t* release() { return ids_.release(); }

 private:
  static constexpr size_t kBlock = 4096;

  bool keep_;
  GrowingBuffer<uint32_t> ids_;
  uint64_t dropped_ = 0;
};

}  // namespace quipu::tokenizer
