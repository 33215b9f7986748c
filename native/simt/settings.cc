#include "simt/settings.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace quipu::simt {

namespace {

// A whole number of the environment; what is none ends the process, as a test must not run with another seed than it
// says.
uint64_t whole(const char* name, uint64_t otherwise) {
  const char* text = getenv(name);
  if (text == nullptr || *text == '\0') return otherwise;
  char* end = nullptr;
  const uint64_t value = strtoull(text, &end, 10);
  if (*end == '\0') return value;
  fprintf(stderr, "simt: %s: expected a whole number, got \"%s\"\n", name, text);
  exit(2);
}

Checks checksOf(const char* text) {
  if (text == nullptr || *text == '\0' || strcmp(text, "all") == 0) return Checks::kAll;
  if (strcmp(text, "bounds") == 0) return Checks::kBounds;
  if (strcmp(text, "none") == 0) return Checks::kNone;
  fprintf(stderr, "simt: QUIPU_SIMT_CHECKS: expected none, bounds or all, got \"%s\"\n", text);
  exit(2);
}

Settings ofEnvironment() {
  Settings s;
  s.seed = whole("QUIPU_SIMT_SEED", s.seed);
  s.checks = checksOf(getenv("QUIPU_SIMT_CHECKS"));
  s.memory = whole("QUIPU_SIMT_MEMORY", s.memory);
  s.devices = static_cast<int>(whole("QUIPU_SIMT_DEVICES", static_cast<uint64_t>(s.devices)));
  s.driver = static_cast<int>(whole("QUIPU_SIMT_DRIVER", static_cast<uint64_t>(s.driver)));
  s.loseAt = whole("QUIPU_SIMT_LOSE", 0);
  const char* recordTo = getenv("QUIPU_SIMT_RECORD");
  s.recordTo = recordTo == nullptr ? "" : recordTo;
  if (!s.recordTo.empty() && s.seed != 0) {  // what runs at once with another has no memory of its own before and after
    fprintf(stderr, "simt: QUIPU_SIMT_RECORD: launches are recorded with QUIPU_SIMT_SEED=0 alone\n");
    exit(2);
  }
  const auto arch = static_cast<int>(whole("QUIPU_SIMT_ARCH", 90));
  s.major = arch / 10;
  s.minor = arch % 10;
  return s;
}

}  // namespace

// CUDA C++ Programming Guide, technical specifications per compute capability, less the kilobyte of the system.
size_t sharedLimit() {
  const Settings& s = settings();
  const size_t kilobytes = s.major == 8 ? (s.minor == 0 || s.minor == 7 ? 163 : 99) : s.major == 12 ? 99 : 227;
  return kilobytes * 1024;
}

Settings& settings() {
  static Settings s = ofEnvironment();
  return s;
}

}  // namespace quipu::simt
