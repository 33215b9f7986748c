#include "harness.h"

#include <cstdio>
#include <fstream>

#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt::test {

namespace {

constexpr uint64_t kFaultySeeds = 12, kCleanSeeds = 60;
uint64_t count = 0;

// The line of the file with the mark, as a report names it.
std::string placeOfMark(const char* file, const std::string& mark) {
  std::ifstream source(file);
  std::string line, wanted = "seeded: " + mark;
  for (int number = 1; std::getline(source, line); ++number) {
    const size_t at = line.find(wanted);
    if (at == std::string::npos || at + wanted.size() != line.size()) continue;
    const std::string path = file;
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(number);
  }
  failed(file, 0, "no line has the mark " + mark);
  return "?";
}

// Runs with a seed on a device that is fresh; what became of it.
cudaError_t runWith(uint64_t seed, const Body& body) {
  settings().seed = seed;
  clearReport();
  body();
  const cudaError_t error = cudaDeviceSynchronize();
  return error;
}

}  // namespace

void failed(const char* file, int line, const std::string& what) {
  ++count;
  fprintf(stderr, "%s:%d: %s (seed %llu)\n", file, line, what.c_str(),
          static_cast<unsigned long long>(settings().seed));
}

uint64_t failures() { return count; }

Buffer::Buffer(size_t bytes, int fill) {
  cudaMalloc(&data_, bytes);
  if (fill >= 0) cudaMemset(data_, fill, bytes);
}

Buffer::~Buffer() { cudaFree(data_); }

void eachSeed(uint64_t seeds, const std::function<void(uint64_t)>& body) {
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    settings().seed = seed;
    body(seed);
    cudaDeviceReset();
  }
  settings().seed = 0;
}

void expectFinding(const char* file, const std::string& mark, const char* finding, const Body& body) {
  const std::string place = placeOfMark(file, mark);
  printReports(false);
  eachSeed(kFaultySeeds, [&](uint64_t seed) {
    const cudaError_t error = runWith(seed, body);
    const std::string report = lastReport();
    if (error != cudaErrorLaunchFailure)
      failed(file, 0, mark + ": not found");
    else if (report.find("simt: " + std::string(finding) + ":") != 0 || report.find(place) == std::string::npos) {
      failed(file, 0, mark + ": expected \"" + finding + "\" at " + place + ", got\n" + report);
    }
  });
  printReports(true);
}

void expectClean(const char* name, const Body& body) {
  printReports(false);
  eachSeed(kCleanSeeds, [&](uint64_t seed) {
    if (runWith(seed, body) != cudaSuccess) failed(name, 0, "expected nothing, got\n" + lastReport());
  });
  printReports(true);
}

}  // namespace quipu::simt::test
