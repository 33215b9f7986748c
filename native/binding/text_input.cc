#include "binding/text_input.h"

#include <cstring>

#include "binding/errors.h"
#include "tokenizer/hash.h"
#include "tokenizer/unicode.h"

namespace quipu::binding {

// Strings are copied as they are, in UTF-16, and become UTF-8 on the thread that encodes them.
void TextInput::read(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  isString_ = value.IsString();
  isConverted_ = false;
  if (isString_) {
    napi_get_value_string_utf16(env, value, nullptr, 0, &units_);
    char16_t* const units = utf16_.reserve(units_ + 1);
    if (napi_get_value_string_utf16(env, value, units, units_ + 1, &units_) != napi_ok) throw Napi::Error::New(env);
    return;
  }
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw toError(env, Status::error(ErrorCode::kUsage, "text: expected a string or a Uint8Array"));
  }
  const auto array = value.As<Napi::Uint8Array>();
  bytes_ = array.ByteLength();
  uint8_t* const bytes = utf8_.reserve(bytes_ + tokenizer::kPadding);
  if (bytes_ > 0) memcpy(bytes, array.Data(), bytes_);
}

tokenizer::Text TextInput::text() {
  if (isString_ && !isConverted_) {
    // Pages beyond what is written are never touched.
    uint8_t* const bytes = utf8_.reserve(units_ * 3 + tokenizer::kBlock + tokenizer::kPadding);
    bytes_ = tokenizer::toUtf8(utf16_.data(), units_, bytes);
    isConverted_ = true;
  }
  return {utf8_.data(), bytes_, isString_};
}

}  // namespace quipu::binding
