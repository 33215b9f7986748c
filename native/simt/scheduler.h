// Runs grids: which block begins when, which thread runs next, all of it by a seed. On the device's thread alone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simt/grid.h"
#include "simt/random.h"

namespace quipu::simt {

class Scheduler {
 public:
  // The launch behind those that run, if it may begin before they have ended; each is asked for once.
  using Successor = std::function<std::shared_ptr<const Launch>()>;

  // Runs a launch, and those that follow and may overlap with it. `ended` is called for each in order. False where a
  // detector has found something: the report is made (report.h), and nothing that was begun goes on. `chain` is of the
  // stream: 0 where what is before the launch is no kernel, else what the run before has left there.
  bool run(std::shared_ptr<const Launch> launch, const Successor& successor, const std::function<void()>& ended,
           uint32_t& chain);

  // In a thread of a kernel:
  // Waits until somebody makes it ready.
  static void wait(State state);
  // Lets others run, now and then.
  static void mayPreempt();
  static void mayYield();
  static void makeReady(Thread& thread);
  // Ends the launch with what is to be reported.
  [[noreturn]] static void abandon(std::string text);
  // More local memory than there is.
  [[noreturn]] static void failStack();
  static void waitForPredecessor();
  static void letSuccessorStart();

 private:
  void begin(std::shared_ptr<const Launch> launch);
  bool admitSuccessor(const Successor& successor);
  void startBlocks();
  void start(Grid& grid, uint32_t index);
  Block* choose();
  void runThread(Block& block);
  void end(Block& block);
  void endGrids(const std::function<void()>& ended);
  std::string deadlock() const;
  static std::string stackOverflow(const Block& block);
  bool failed();
  static void main();

  Random random_{0};
  uint64_t launches_ = 0;
  uint32_t serials_ = 1;
  uint32_t handOver_ = 0;  // of the grid before the next one; 0: that is no kernel
  std::deque<std::unique_ptr<Grid>> grids_;
  std::vector<std::unique_ptr<Block>> resident_, idle_;
  Block* last_ = nullptr;
  StackPointer home_ = nullptr;
  std::string failure_;
  bool asked_ = false;  // for the successor of the last grid
  bool eager_ = false;  // takes it as soon as it may begin
  uint32_t residents_ = 1;
  uint32_t preemptEvery_ = 0;  // accesses, on average; 0: never
  uint32_t untilPreempted_ = 0;
};

}  // namespace quipu::simt
