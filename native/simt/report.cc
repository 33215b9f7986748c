#include "simt/report.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <vector>

#include "simt/grid.h"
#include "simt/scheduler.h"

namespace quipu::simt {

namespace {

std::mutex mutex;
std::string last;
bool printed = true;

struct Module {
  uintptr_t base;
  std::string file;
};

const Module& module() {
  static const Module m = [] {
    Dl_info info = {};
    dladdr(reinterpret_cast<const void*>(&siteOf), &info);
    return Module{reinterpret_cast<uintptr_t>(info.dli_fbase), info.dli_fname == nullptr ? "" : info.dli_fname};
  }();
  return m;
}

struct Frame {
  std::string function;
  std::string place;
};

// Frames of an offset, the innermost first, as binutils' addr2line finds them. Slow: once for each report.
std::vector<Frame> framesOf(uintptr_t offset) {
  char where[32];
  snprintf(where, sizeof where, "0x%zx", static_cast<size_t>(offset));
  const std::string command = "addr2line -C -f -i -e '" + module().file + "' " + where + " 2>/dev/null";
  std::vector<Frame> frames;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return frames;
  char line[4096];
  for (bool function = true; fgets(line, sizeof line, pipe) != nullptr; function = !function) {
    std::string text(line, strcspn(line, "\n"));
    if (function) {
      frames.push_back({text, {}});
    } else {
      if (const size_t end = text.find(" (discriminator"); end != std::string::npos) text.resize(end);
      frames.back().place = text;
    }
  }
  pclose(pipe);
  return frames;
}

// Whether a file is the emulator's own: wrappers that were inlined say nothing of the kernel.
bool isOwn(const std::string& place) {
  static const std::string folder = std::filesystem::path(__FILE__).parent_path().lexically_normal().string() + "/";
  return std::filesystem::path(place).lexically_normal().string().starts_with(folder);
}

std::string positionOf(const uint3& p) {
  return "(" + std::to_string(p.x) + "," + std::to_string(p.y) + "," + std::to_string(p.z) + ")";
}

}  // namespace

uint32_t siteOf(const void* code) {
  static const uintptr_t base = module().base;
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(code) - base);
}

std::string placeOf(uint32_t site) {
  std::string place;
  for (const Frame& frame : framesOf(site - 1)) {  // the return address is behind the call
    if (frame.place.empty() || frame.place[0] == '?' || isOwn(frame.place)) continue;
    place += place.empty() ? frame.place : ", inlined at " + frame.place;
  }
  if (!place.empty()) return place;
  char where[32];
  snprintf(where, sizeof where, "code 0x%x", site);
  return where;
}

std::string placeOf(Site site) { return std::string(site.file) + ":" + std::to_string(site.line); }

std::string nameOf(const void* kernel) {
  const std::vector<Frame> frames = framesOf(reinterpret_cast<uintptr_t>(kernel) - module().base);
  return frames.empty() || frames.back().function == "??" ? "a kernel" : frames.back().function;
}

void report(const std::string& text) {
  const std::lock_guard lock(mutex);
  last = text;
  if (printed) fprintf(stderr, "%s\n", text.c_str());
}

std::string lastReport() {
  const std::lock_guard lock(mutex);
  return last;
}

void clearReport() {
  const std::lock_guard lock(mutex);
  last.clear();
}

void printReports(bool print) {
  const std::lock_guard lock(mutex);
  printed = print;
}

void fail(const char* name, const std::string& what, const std::string& place, const std::string& earlier) {
  const Thread& t = *current;
  std::ostringstream text;
  text << "simt: " << name << ": " << what << "\n  at " << place;
  if (!earlier.empty()) text << "\n  " << earlier;
  text << "\n  in " << nameOf(t.block->grid->launch->kernel) << ", block " << positionOf(t.block->position)
       << ", thread " << positionOf(t.position);
  Scheduler::abandon(text.str());
}

}  // namespace quipu::simt
