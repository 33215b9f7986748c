// native_tests [schedules] [rounds]: prints what was checked; any failure ends it with a message and status 1.
#include "checks.h"

int main(int argc, char** argv) {
  const uint64_t schedules = argc > 1 ? strtoull(argv[1], nullptr, 10) : 3000;
  const uint64_t rounds = argc > 2 ? strtoull(argv[2], nullptr, 10) : 200;
  using namespace quipu::test;
  if (schedules > 0) printf("team: %llu schedules\n", static_cast<unsigned long long>(testTeam(schedules)));
  printf("team size: %llu machines\n", static_cast<unsigned long long>(testTeamSize()));
  printf("prepared files: %llu\n", static_cast<unsigned long long>(testPreparedFile()));
  printf("shares: %llu\n", static_cast<unsigned long long>(testShares()));
  printf("roofline: %llu reads\n", static_cast<unsigned long long>(testRoofline()));
  printf("threads: %llu runs\n", static_cast<unsigned long long>(testThreads(rounds)));
}
