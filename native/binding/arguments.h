// The arguments of a native call, read by kind. Only quipu's own TypeScript makes these calls, so a wrong argument is a
// bug of ours: the error names the call, the argument and what was expected.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "binding/errors.h"

namespace quipu::binding {

// A kind of argument: the Type that it is read as, what an error says it should have been, and read(), which gives
// nothing for a value of another kind. Any other T is one of our classes, told by its tag: a cast is never trusted.
template <typename T>
struct Argument {
  using Type = T*;
  static std::string expected() { return "an object of its class"; }
  static std::optional<Type> read(const Napi::Value& value) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTag)) return std::nullopt;
    return T::Unwrap(value.As<Napi::Object>());
  }
};

// A whole number from kLeast to kMost.
template <int64_t kLeast, int64_t kMost>
struct Whole;

template <int64_t kLeast, int64_t kMost>
struct Argument<Whole<kLeast, kMost>> {
  using Type = std::conditional_t<(kLeast < 0), int64_t, size_t>;
  static std::string expected() {
    return "a whole number from " + std::to_string(kLeast) + " to " + std::to_string(kMost);
  }
  static std::optional<Type> read(const Napi::Value& value) {
    if (!value.IsNumber()) return std::nullopt;
    const double number = value.As<Napi::Number>().DoubleValue();
    if (!(number >= static_cast<double>(kLeast) && number <= static_cast<double>(kMost))) return std::nullopt;
    if (number != std::floor(number)) return std::nullopt;
    return static_cast<Type>(number);
  }
};

using Size = Whole<0, int64_t{1} << 53>;  // up to here doubles hold every whole number
using Threads = Whole<1, 1024>;
using Rows = Whole<0, UINT32_MAX>;

template <>
struct Argument<bool> {
  using Type = bool;
  static std::string expected() { return "true or false"; }
  static std::optional<bool> read(const Napi::Value& value) {
    if (!value.IsBoolean()) return std::nullopt;
    return value.As<Napi::Boolean>().Value();
  }
};

template <>
struct Argument<std::string> {
  using Type = std::string;
  static std::string expected() { return "a string"; }
  static std::optional<std::string> read(const Napi::Value& value) {
    if (!value.IsString()) return std::nullopt;
    return value.As<Napi::String>().Utf8Value();
  }
};

template <>
struct Argument<Napi::Array> {
  using Type = Napi::Array;
  static std::string expected() { return "a list"; }
  static std::optional<Napi::Array> read(const Napi::Value& value) {
    if (!value.IsArray()) return std::nullopt;
    return value.As<Napi::Array>();
  }
};

template <>
struct Argument<std::vector<std::string>> {
  using Type = std::vector<std::string>;
  static std::string expected() { return "a list of strings"; }
  static std::optional<Type> read(const Napi::Value& value) {
    if (!value.IsArray()) return std::nullopt;
    const auto list = value.As<Napi::Array>();
    Type strings;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      auto string = Argument<std::string>::read(list.Get(i));
      if (!string) return std::nullopt;
      strings.push_back(*std::move(string));
    }
    return strings;
  }
};

// undefined and null are nothing.
template <typename T>
struct Argument<std::optional<T>> {
  using Type = std::optional<typename Argument<T>::Type>;
  static std::string expected() { return Argument<T>::expected() + ", or nothing"; }
  static std::optional<Type> read(const Napi::Value& value) {
    if (value.IsUndefined() || value.IsNull()) return Type();
    auto given = Argument<T>::read(value);
    if (!given) return std::nullopt;
    return Type(std::move(given));
  }
};

template <typename Element>
struct ElementType;
template <>
struct ElementType<uint8_t> {
  static constexpr napi_typedarray_type kType = napi_uint8_array;
  static constexpr const char* kExpected = "a Uint8Array";
};
template <>
struct ElementType<int32_t> {
  static constexpr napi_typedarray_type kType = napi_int32_array;
  static constexpr const char* kExpected = "an Int32Array";
};
template <>
struct ElementType<uint32_t> {
  static constexpr napi_typedarray_type kType = napi_uint32_array;
  static constexpr const char* kExpected = "a Uint32Array";
};
template <>
struct ElementType<double> {
  static constexpr napi_typedarray_type kType = napi_float64_array;
  static constexpr const char* kExpected = "a Float64Array";
};

template <typename Element>
struct Argument<Napi::TypedArrayOf<Element>> {
  using Type = Napi::TypedArrayOf<Element>;
  static std::string expected() { return ElementType<Element>::kExpected; }
  static std::optional<Type> read(const Napi::Value& value) {
    if (!value.IsTypedArray()) return std::nullopt;
    if (value.As<Napi::TypedArray>().TypedArrayType() != ElementType<Element>::kType) return std::nullopt;
    return value.As<Type>();
  }
};

// The contents of a typed array, as long as the call.
template <typename Element>
struct Argument<std::span<Element>> {
  using Array = Napi::TypedArrayOf<std::remove_const_t<Element>>;
  using Type = std::span<Element>;
  static std::string expected() { return Argument<Array>::expected(); }
  static std::optional<Type> read(const Napi::Value& value) {
    auto array = Argument<Array>::read(value);
    if (!array) return std::nullopt;
    return Type(array->Data(), array->ElementLength());
  }
};

class Arguments {
 public:
  // `call` is how the call is written, with the names of its arguments: "count(bytes, ends)". It outlives this.
  Arguments(const Napi::CallbackInfo& info, const char* call) : info_(info), call_(call) {}

  const Napi::CallbackInfo& info() const { return info_; }
  Napi::Env env() const { return info_.Env(); }

  // A tuple of as many arguments, from number `first` on.
  template <typename... Kinds>
  auto read(size_t first = 0) const {
    return guarded(env(), [&] { return readEach<Kinds...>(first, std::index_sequence_for<Kinds...>()); });
  }

  // Number `index` is of its kind and wrong all the same.
  [[noreturn]] void wrong(size_t index, const std::string& expected) const;

 private:
  template <typename... Kinds, size_t... kAt>
  auto readEach(size_t first, std::index_sequence<kAt...>) const {
    return std::tuple<typename Argument<Kinds>::Type...>{one<Kinds>(first + kAt)...};
  }

  template <typename Kind>
  typename Argument<Kind>::Type one(size_t index) const {
    auto value = Argument<Kind>::read(info_[index]);
    if (!value) wrong(index, Argument<Kind>::expected());
    return *std::move(value);
  }

  const Napi::CallbackInfo& info_;
  const char* call_;
};

}  // namespace quipu::binding
