// A forward reader of JSON text that is valid UTF-8: enough to walk through objects and lists, and to skip what is not
// wanted. It follows strings and brackets exactly; what it skips it does not check otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quipu::tokenizer {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text, size_t at = 0) : text_(text), at_(at) {}

  size_t at() const { return at_; }
  void seek(size_t at) { at_ = at; }
  // The next character after white space, 0 at the end.
  char peek() {
    if (at_ < text_.size() && isWhite(text_[at_])) skipWhite();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  // Whether the next character is `c`; takes it if so.
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  // A string without its quotes, escapes untouched. False where none begins here or it does not end.
  bool string(std::string_view& raw);
  // Any value; false where brackets or quotes do not close.
  bool skip();
  // Everything up to the next comma, bracket or white space: a number, true, false or null.
  std::string_view word();

 private:
  static bool isWhite(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  void skipWhite();

  std::string_view text_;
  size_t at_;
};

// Appends what a raw string stands for, as UTF-8; halves of surrogate pairs become U+FFFD. False for a bad escape or a
// control character.
bool unescape(std::string_view raw, std::string& out);

}  // namespace quipu::tokenizer
