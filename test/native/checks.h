// The parts of the native tests; each ends the process with a message where something is wrong.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace quipu::test {

// Schedules of cpu/team.h, each from a seed of its own; returns how many.
uint64_t testTeam(uint64_t schedules);
// cpu/team_size.h in machines that are modelled; returns how many.
uint64_t testTeamSize();
// core/prepared_file.h, also with several writers and readers; returns the files written.
uint64_t testPreparedFile();
// cpu/kernels/shares.h; returns how many.
uint64_t testShares();
// The loops of cpu/kernels/roofline.h; returns how many reads were checked.
uint64_t testRoofline();
// Threads, pool and queue of the system, for ThreadSanitizer to look at; returns the runs.
uint64_t testThreads(uint64_t rounds);

#define QUIPU_EXPECT(condition)                                                \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                 \
    }                                                                          \
  } while (false)

}  // namespace quipu::test
