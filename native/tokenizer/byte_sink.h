// Where decoded bytes go.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace quipu::tokenizer {

class ByteSink {
 public:
  // Room for `bytes` more, to be written from the pointer on; what was written is then told to advance().
  // May throw std::bad_alloc.
  uint8_t* room(size_t bytes) {
    if (size_ + bytes > capacity_) grow(bytes);
    return bytes_.get() + size_;
  }
  void advance(size_t bytes) { size_ += bytes; }

  std::span<const uint8_t> bytes() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const { free(bytes); }
  };

  void grow(size_t bytes) {
    const size_t capacity = size_ + bytes + size_ / 2;
    auto* grown = static_cast<uint8_t*>(realloc(bytes_.get(), capacity));
    if (grown == nullptr) throw std::bad_alloc();
    bytes_.release();
    bytes_.reset(grown);
    capacity_ = capacity;
  }

  std::unique_ptr<uint8_t, Free> bytes_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace quipu::tokenizer
