// Where ids go: kept, or only counted.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace quipu::tokenizer {

class IdSink {
 public:
  explicit IdSink(bool keep) : keep_(keep) {}

  // Room for `ids` more, to be written from the pointer on; what was written is then told to advance().
  // May throw std::bad_alloc.
  uint32_t* room(size_t ids) {
    if (!keep_ && size_ > kBlock) dropped_ += size_, size_ = 0;
    if (size_ + ids > capacity_) grow(ids);
    return ids_.get() + size_;
  }
  void advance(size_t ids) { size_ += ids; }
  void push(uint32_t id) { *room(1) = id, advance(1); }

  uint64_t count() const { return dropped_ + size_; }
  std::span<const uint32_t> ids() const { return {ids_.get(), size_}; }
  // The memory of the ids, to be freed by the caller; nothing is left.
  uint32_t* release() {
    size_ = capacity_ = 0;
    return ids_.release();
  }

 private:
  static constexpr size_t kBlock = 4096;
  struct Free {
    void operator()(uint32_t* ids) const { free(ids); }
  };

  void grow(size_t ids) {
    const size_t capacity = size_ + ids > 2 * capacity_ ? size_ + ids + kBlock : 2 * capacity_;
    auto* grown = static_cast<uint32_t*>(realloc(ids_.get(), capacity * sizeof(uint32_t)));
    if (grown == nullptr) throw std::bad_alloc();
    ids_.release();
    ids_.reset(grown);
    capacity_ = capacity;
  }

  bool keep_;
  std::unique_ptr<uint32_t, Free> ids_;
  size_t size_ = 0, capacity_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace quipu::tokenizer
