// How native code reports failure: a Status with one of the codes of src/errors.ts. Nothing here throws, prints or
// aborts.
#pragma once

#include <string>
#include <utility>

namespace quipu {

enum class ErrorCode {
  kOk,
  kModelInvalid,       // ERR_MODEL_INVALID
  kTokenizerInvalid,   // ERR_TOKENIZER_INVALID
  kUsage,              // ERR_USAGE
  kNotANumber,         // ERR_NOT_A_NUMBER
  kAllForbidden,       // ERR_ALL_FORBIDDEN
  kOutOfMemory,        // ERR_OUT_OF_MEMORY
  kDeviceUnavailable,  // ERR_DEVICE_UNAVAILABLE
  kDeviceLost,         // ERR_DEVICE_LOST
  kAborted,            // ERR_ABORTED
  kDisposed,           // ERR_DISPOSED
  kInternal,           // ERR_INTERNAL
};

constexpr const char* nameOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk:
      return "OK";
    case ErrorCode::kModelInvalid:
      return "ERR_MODEL_INVALID";
    case ErrorCode::kTokenizerInvalid:
      return "ERR_TOKENIZER_INVALID";
    case ErrorCode::kUsage:
      return "ERR_USAGE";
    case ErrorCode::kNotANumber:
      return "ERR_NOT_A_NUMBER";
    case ErrorCode::kAllForbidden:
      return "ERR_ALL_FORBIDDEN";
    case ErrorCode::kOutOfMemory:
      return "ERR_OUT_OF_MEMORY";
    case ErrorCode::kDeviceUnavailable:
      return "ERR_DEVICE_UNAVAILABLE";
    case ErrorCode::kDeviceLost:
      return "ERR_DEVICE_LOST";
    case ErrorCode::kAborted:
      return "ERR_ABORTED";
    case ErrorCode::kDisposed:
      return "ERR_DISPOSED";
    case ErrorCode::kInternal:
      return "ERR_INTERNAL";
  }
  return "ERR_INTERNAL";
}

struct [[nodiscard]] Status {
  ErrorCode code = ErrorCode::kOk;
  std::string message;

  bool ok() const { return code == ErrorCode::kOk; }
  static Status error(ErrorCode code, std::string message) { return {code, std::move(message)}; }
};

}  // namespace quipu
