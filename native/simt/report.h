// What a detector says, and where in the kernels' sources that is.
#pragma once

#include <cstdint>
#include <string>

#include "simt/site.h"

namespace quipu::simt {

// The names that a report begins with.
namespace finding {
constexpr const char* kOutOfBounds = "out of bounds";
constexpr const char* kMisaligned = "misaligned access";
constexpr const char* kUninitialised = "uninitialised read";
constexpr const char* kInFlight = "async copy not waited for";
constexpr const char* kRace = "race";
constexpr const char* kCrossBlock = "race between blocks";
constexpr const char* kPredecessor = "predecessor not waited for";
constexpr const char* kBarrier = "divergent barrier";
constexpr const char* kCollective = "divergent collective";
constexpr const char* kShift = "shift out of range";
constexpr const char* kResources = "too much shared memory";
constexpr const char* kStack = "stack overflow";
}  // namespace finding

// A place in the code of this module, as offset from where it is loaded; and back to "file:line", with the callers that
// it was inlined into. Where the debug information says nothing, the offset itself.
uint32_t siteOf(const void* code);
std::string placeOf(uint32_t site);
std::string placeOf(Site site);
// The kernel's name as it is written.
std::string nameOf(const void* kernel);

// Ends the launch with an error: prints it, with kernel, block and thread, and does not return to the kernel. `place`
// is where, `earlier` what it conflicts with (or empty).
[[noreturn]] void fail(const char* name, const std::string& what, const std::string& place,
                       const std::string& earlier = {});

// What the last launch that failed was reported as; empty where none has.
std::string lastReport();
void clearReport();
// Whether reports go to standard error too. On at first; tests that seed faults switch it off.
void printReports(bool print);
// Notes a report and prints it.
void report(const std::string& text);

}  // namespace quipu::simt
