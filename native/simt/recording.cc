#include "simt/recording.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <unordered_map>

#include "simt/machine_memory.h"
#include "simt/memory.h"
#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt {

namespace {

// What has been recorded so far. Belongs to the thread that emulates the device.
struct Files {
  std::ofstream launches{settings().recordTo + "/launches.jsonl"};
  std::ofstream pages{settings().recordTo + "/pages.bin", std::ios::binary};
  std::unordered_map<std::string, size_t> numbers;  // of pages by what is in them
  std::set<std::string> shapes;

  size_t numberOf(std::span<const std::byte> bytes) {
    std::string page(kPageBytes, '\0');
    std::memcpy(page.data(), bytes.data(), bytes.size());
    const auto [it, added] = numbers.try_emplace(std::move(page), numbers.size());
    if (added) pages.write(it->first.data(), kPageBytes);
    return it->second;
  }
};

Files& files() {
  static auto* instance = new Files();
  return *instance;
}

std::string pagesOf(std::span<const std::byte> bytes) {
  std::ostringstream text;
  for (size_t at = 0; at < bytes.size(); at += kPageBytes) {
    text << (at == 0 ? "" : ",") << files().numberOf(bytes.subspan(at, std::min(kPageBytes, bytes.size() - at)));
  }
  return text.str();
}

std::string textOf(const dim3& size) {
  return std::to_string(size.x) + "," + std::to_string(size.y) + "," + std::to_string(size.z);
}

std::string hexadecimal(const std::vector<std::byte>& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte each : bytes) {
    text += kDigits[static_cast<uint8_t>(each) >> 4];
    text += kDigits[static_cast<uint8_t>(each) & 15];
  }
  return text;
}

}  // namespace

Recording::Recording(const Launch& launch) : launch_(launch) {
  if (settings().recordTo.empty()) return;
  arguments_ = launch.call->arguments();
  std::vector<std::span<const std::byte>> memory;
  std::ostringstream shape;
  shape << launch.kernel << " " << textOf(launch.grid) << " " << textOf(launch.block) << " " << launch.dynamicShared;
  for (std::vector<std::byte> argument : arguments_) {
    for (size_t at = 0; at + sizeof(void*) <= argument.size(); at += sizeof(void*)) {
      const void* pointer;
      std::memcpy(&pointer, argument.data() + at, sizeof pointer);
      const std::span<const std::byte> bytes = machineMemory().around(pointer);
      if (bytes.empty()) continue;
      std::memset(argument.data() + at, 0xff, sizeof pointer);  // wherever it is
      const bool known =
          std::any_of(memory.begin(), memory.end(), [&](const auto& each) { return each.data() == bytes.data(); });
      if (!known) memory.push_back(bytes);
    }
    shape << " " << hexadecimal(argument);
  }
  wanted_ = files().shapes.insert(shape.str()).second;
  if (!wanted_) return;
  for (const std::span<const std::byte>& bytes : memory) memory_.push_back({bytes, pagesOf(bytes)});
}

void Recording::end() {
  if (!wanted_) return;
  std::ofstream& to = files().launches;
  to << "{\"kernel\":\"" << nameOf(launch_.kernel) << "\",\"grid\":[" << textOf(launch_.grid) << "],\"block\":["
     << textOf(launch_.block) << "],\"shared\":" << launch_.dynamicShared << ",\"arguments\":[";
  for (size_t i = 0; i < arguments_.size(); ++i) {
    to << (i == 0 ? "\"" : ",\"") << hexadecimal(arguments_[i]) << "\"";
  }
  to << "],\"memory\":[";
  for (size_t i = 0; i < memory_.size(); ++i) {
    const Piece& piece = memory_[i];
    to << (i == 0 ? "" : ",") << "{\"address\":" << reinterpret_cast<uintptr_t>(piece.bytes.data())
       << ",\"bytes\":" << piece.bytes.size() << ",\"before\":[" << piece.before << "],\"after\":["
       << pagesOf(piece.bytes) << "]}";
  }
  to << "]}" << std::endl;
  files().pages.flush();
}

}  // namespace quipu::simt
