#include "binding/workspace.h"

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/device.h"

namespace quipu::binding {

Napi::Value workspaceOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Arguments arguments(info, "workspaceOf(target, threads, stream, buffers)");
  const auto [target, threads, words, sizes] =
      arguments.read<std::string, Threads, std::span<const uint32_t>, std::span<const double>>();
  if (sizes.size() % 3 != 0) arguments.wrong(3, "three numbers for each buffer");
  for (const double size : sizes) {
    if (!(size >= 0 && size <= static_cast<double>(int64_t{1} << 53))) arguments.wrong(3, "whole numbers");
  }
  std::vector<std::shared_ptr<Memory>> buffers;
  for (size_t i = 0; i < sizes.size(); i += 3) {
    buffers.push_back(
        Memory::absent(static_cast<size_t>(sizes[i]), static_cast<uint32_t>(sizes[i + 1]), sizes[i + 2] != 0));
  }
  std::shared_ptr<const Program> program;
  check(env, Program::parse({words.begin(), words.end()}, std::move(buffers), program));
  std::vector<size_t> parts;
  check(env, Device::workspaceOf(target, static_cast<uint32_t>(threads), *program, parts));
  auto bytes = Napi::Array::New(env, parts.size());
  for (uint32_t i = 0; i < parts.size(); ++i) bytes.Set(i, static_cast<double>(parts[i]));
  return bytes;
}

}  // namespace quipu::binding
