// Text from JavaScript, as the tokenizer takes it.
#pragma once

#include <napi.h>

#include <new>

#include "core/free.h"
#include "tokenizer/text_tokenizer.h"

namespace quipu::binding {

// A scratch buffer that is reused for the next text unless it is large. Growing loses its contents.
template <typename T>
class TextBuffer {
 public:
  // May throw std::bad_alloc.
  T* reserve(size_t count) {
    if (count > capacity_ || capacity_ * sizeof(T) > kKeptBytes) {
      data_.reset(static_cast<T*>(malloc(count * sizeof(T))));
      capacity_ = data_ == nullptr ? 0 : count;
      if (data_ == nullptr) throw std::bad_alloc();
    }
    return data_.get();
  }
  const T* data() const { return data_.get(); }

 private:
  static constexpr size_t kKeptBytes = 1 << 20;

  Freed<T> data_;
  size_t capacity_ = 0;
};

class TextInput {
 public:
  // On the JavaScript thread: a string (lone surrogates become U+FFFD) or a Uint8Array; ERR_USAGE for anything else.
  void read(const Napi::Value& value);
  // On any thread, until the next read. May throw std::bad_alloc.
  tokenizer::Text text();

 private:
  TextBuffer<char16_t> utf16_;  // of a string, which becomes UTF-8 when it is asked for
  TextBuffer<uint8_t> utf8_;
  size_t units_ = 0, bytes_ = 0;
  bool isString_ = false, isConverted_ = false;
};

}  // namespace quipu::binding
