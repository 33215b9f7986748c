// simt_tests [part]: the parts whose names begin so, or all. Prints what was tested; any failure is said, and is
// status 1.
#include <chrono>
#include <cstdio>
#include <cstring>

#include "harness.h"

int main(int argc, char** argv) {
  using namespace quipu::simt::test;
  struct Part {
    const char* name;
    void (*test)();
  };
  constexpr Part kParts[] = {{"memory", testMemory},   {"sharing", testSharing},     {"meetings", testMeetings},
                             {"blocks", testBlocks},   {"dependent", testDependent}, {"tensor", testTensor},
                             {"numbers", testNumbers}, {"runtime", testRuntime}};
  for (const Part& part : kParts) {
    if (argc > 1 && strncmp(part.name, argv[1], strlen(argv[1])) != 0) continue;
    const auto start = std::chrono::steady_clock::now();
    part.test();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    printf("%s: %.1f s\n", part.name, seconds.count());
  }
  return failures() == 0 ? 0 : 1;
}
