#include "binding/arguments.h"

#include <string_view>

namespace quipu::binding {

namespace {

// Argument number `index` of "call(first, second)".
std::string_view argumentName(std::string_view call, size_t index) {
  std::string_view names = call.substr(call.find('(') + 1);
  for (; index > 0; --index) names = names.substr(names.find(", ") + 2);
  return names.substr(0, names.find_first_of(",)"));
}

}  // namespace

void Arguments::wrong(size_t index, const std::string& expected) const {
  const auto name = std::string(argumentName(call_, index));
  throw toError(env(), Status::error(ErrorCode::kInternal,
                                     "native call " + std::string(call_) + ": " + name + ": expected " + expected));
}

}  // namespace quipu::binding
