// Counts the pieces of many texts on several threads. Each has a table of its own; one that outgrows its share of the
// memory goes to disk as a run. The sums are the same whatever thread counts which text.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/trainer.h"

namespace quipu::tokenizer {

struct CounterOptions {
  Pattern pattern;
  uint32_t threads = 1;
  size_t memoryBytes = 0;         // of all tables together, and again of the training
  std::string folder;             // where runs go
  std::vector<std::string> runs;  // counted before, by an interrupted process
};

struct TrainingSummary {
  uint64_t pieces = 0;    // that were counted
  uint64_t distinct = 0;  // pieces that differ, before rare ones were left out
};

class PieceCounter {
 public:
  // Counts with the threads of `options`, or with as many as the system lets it start; fails where that is none.
  static Status start(CounterOptions options, std::unique_ptr<PieceCounter>& out);
  ~PieceCounter();  // ends all that runs or waits with kAborted
  PieceCounter(const PieceCounter&) = delete;
  PieceCounter& operator=(const PieceCounter&) = delete;

  // Texts, each ending where ends says; eight bytes behind the last must be readable. One text never shares a piece
  // with the next.
  struct Batch {
    std::vector<uint8_t> bytes;
    std::vector<size_t> ends;
  };
  using Done = std::function<void(const Status&)>;  // called on one of the counter's threads

  void count(Batch batch, Done done);
  // The following come after all that was asked for before.

  // Brings all counts to disk; runs() then holds everything.
  void spill(Done done);
  // Learns merges from all counts; the counter can count no more after that.
  void train(MergeOptions options, uint64_t minPieceCount, std::vector<MergeRule>& merges, TrainingSummary& summary,
             Done done);

  void cancel() { cancelled_ = true; }
  size_t mergesDone() const { return mergesDone_.load(std::memory_order_relaxed); }
  std::vector<std::string> runs() const;

 private:
  explicit PieceCounter(CounterOptions options);

  struct Task {
    std::function<Status(PieceTable&)> work;
    Done done;
    bool alone;  // runs when nothing else does
  };

  void push(Task task);
  void loop(uint32_t thread);
  Status countBatch(const Batch& batch, PieceTable& table);
  Status spillTable(PieceTable& table);
  Status spillAll();
  Status trainNow(const MergeOptions& options, uint64_t minPieceCount, std::vector<MergeRule>& merges,
                  TrainingSummary& summary);
  Status eachPiece(const std::function<void(const PieceCount&)>& visit);

  const CounterOptions options_;
  std::vector<PieceTable> tables_;  // one a thread
  std::vector<std::string> runs_;
  uint32_t nextRun_ = 0;
  std::atomic<bool> cancelled_{false};
  std::atomic<size_t> mergesDone_{0};

  mutable std::mutex mutex_;  // of runs_, nextRun_ and what follows
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  uint32_t running_ = 0;
  bool alone_ = false, closing_ = false;
  std::vector<std::thread> threads_;
};

// A place in `text` where a piece ends whatever is in front of it and whatever follows its end, as far towards the end
// as can be told; 0 where none can. Long texts are cut there, to be counted on several threads in constant memory.
size_t pieceCut(Pattern pattern, const uint8_t* text, size_t end);

}  // namespace quipu::tokenizer
