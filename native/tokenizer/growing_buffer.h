// An array that grows at its end and is written directly, without being cleared first.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>

#include "core/free.h"

namespace quipu::tokenizer {

template <typename T>
class GrowingBuffer {
 public:
  // Room for `count` more, to be written from the pointer on; what was written is then told to advance().
  // May throw std::bad_alloc.
  T* room(size_t count) {
    if (size_ + count > capacity_) grow(count);
    return data_.get() + size_;
  }
  void advance(size_t count) { size_ += count; }
  void clear() { size_ = 0; }
  void truncate(size_t size) { size_ = size; }
  // Removes the first `count`.
  void drop(size_t count) {
    if (count == 0) return;
    size_ -= count;
    memmove(data_.get(), data_.get() + count, size_ * sizeof(T));
  }

  size_t size() const { return size_; }
  std::span<const T> contents() const { return {data_.get(), size_}; }
  // Moves the contents out, to be freed by the caller. Unused capacity is returned to the system at once: an owner that
  // V8 frees late would hold gigabytes of it.
  T* release() {
    T* data = data_.release();
    if (size_ > 0 && size_ < capacity_) {
      if (auto* cut = static_cast<T*>(realloc(data, size_ * sizeof(T))); cut != nullptr) data = cut;
    }
    size_ = capacity_ = 0;
    return data;
  }

 private:
  static constexpr size_t kLeast = 4096;

  void grow(size_t count) {
    const size_t capacity = size_ + count > 2 * capacity_ ? size_ + count + kLeast : 2 * capacity_;
    auto* grown = static_cast<T*>(realloc(data_.get(), capacity * sizeof(T)));
    if (grown == nullptr) throw std::bad_alloc();
    data_.release();
    data_.reset(grown);
    capacity_ = capacity;
  }

  Freed<T> data_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace quipu::tokenizer
