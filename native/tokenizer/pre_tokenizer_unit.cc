#include "tokenizer/pre_tokenizer_unit.h"

#include <string>

#include "tokenizer/json_reader.h"

namespace quipu::tokenizer {

namespace {

constexpr int kDeepest = 64;  // as deep as what is not skipped may be nested

bool isString(std::string_view raw, std::string_view wanted) {
  std::string text;
  return unescape(raw, text) && text == wanted;
}

// Whether the value, which it reads, is or has a step of that type.
bool hasStep(JsonReader& json, std::string_view type, int depth) {
  const char first = json.peek();
  if (depth > kDeepest || (first != '{' && first != '[')) {
    if (!json.skip()) json.seek(json.at() + 1);
    return false;
  }
  json.take(first);
  const char last = first == '{' ? '}' : ']';
  bool found = false;
  while (json.peek() != last && json.peek() != '\0') {
    std::string_view name, value;
    if (first == '{' && !(json.string(name) && json.take(':'))) return found;
    if (first == '{' && json.peek() == '"' && isString(name, "type")) {
      if (!json.string(value)) return found;
      found = found || isString(value, type);
    } else {
      found = hasStep(json, type, depth + 1) || found;
    }
    if (!json.take(',')) break;
  }
  json.take(last);
  return found;
}

}  // namespace

Unit unitOf(std::string_view file) {
  JsonReader json(file);
  if (!json.take('{')) return Unit::kByte;
  std::string_view name;
  while (json.string(name)) {
    if (!json.take(':')) return Unit::kByte;
    if (isString(name, "pre_tokenizer")) {
      return hasStep(json, "ByteLevel", 0) ? Unit::kByte : Unit::kCharacter;
    }
    if (!json.skip()) return Unit::kByte;
    if (!json.take(',')) break;
  }
  return Unit::kCharacter;
}

}  // namespace quipu::tokenizer
