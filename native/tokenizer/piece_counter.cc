#include "tokenizer/piece_counter.h"

#include <algorithm>
#include <array>
#include <new>

#include "core/thread.h"
#include "tokenizer/piece_run.h"

namespace quipu::tokenizer {

namespace {

size_t shareOf(const CounterOptions& options) { return std::max<size_t>(options.memoryBytes / options.threads, 1); }

}  // namespace

PieceCounter::PieceCounter(CounterOptions options) : options_(std::move(options)), runs_(options_.runs) {
  nextRun_ = static_cast<uint32_t>(runs_.size());
  tables_.reserve(options_.threads);
  for (uint32_t i = 0; i < options_.threads; ++i) tables_.emplace_back(shareOf(options_));
}

Status PieceCounter::start(CounterOptions options, std::unique_ptr<PieceCounter>& out) {
  std::unique_ptr<PieceCounter> counter(new PieceCounter(std::move(options)));
  PieceCounter& self = *counter;
  for (uint32_t i = 0; i < self.options_.threads; ++i) {
    if (!startThread(self.threads_, [&self, i] { self.loop(i); })) break;
  }
  if (self.threads_.empty()) return threadRefused();
  out = std::move(counter);
  return {};
}

PieceCounter::~PieceCounter() {
  cancelled_ = true;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PieceCounter::push(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void PieceCounter::loop(uint32_t thread) {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] {
      if (tasks_.empty()) return closing_;
      return !alone_ && (running_ == 0 || !tasks_.front().alone);
    });
    if (tasks_.empty()) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    running_ += 1;
    alone_ = task.alone;
    lock.unlock();
    Status status;
    try {
      status = cancelled_ ? Status::error(ErrorCode::kAborted, "the training was aborted") : task.work(tables_[thread]);
    } catch (const std::bad_alloc&) {
      status = Status::error(ErrorCode::kOutOfMemory, "counting pieces needs more memory than the system gives: the " +
                                                          std::to_string(options_.memoryBytes) +
                                                          " bytes that it was given are too much here.");
    }
    task.done(status);
    lock.lock();
    running_ -= 1;
    alone_ = false;
    wake_.notify_all();
  }
}

void PieceCounter::count(Batch batch, Done done) {
  auto shared = std::make_shared<const Batch>(std::move(batch));
  push({[this, shared](PieceTable& table) { return countBatch(*shared, table); }, std::move(done), false});
}

Status PieceCounter::countBatch(const Batch& batch, PieceTable& table) {
  const uint8_t* text = batch.bytes.data();
  size_t at = 0;
  for (const size_t end : batch.ends) {
    while (at < end) {
      const size_t next = pieceEnd(options_.pattern, text, at, end);
      while (!table.add(text + at, next - at, 1)) {
        if (Status status = spillTable(table); !status.ok()) return status;
      }
      at = next;
    }
    if (cancelled_.load(std::memory_order_relaxed)) {
      return Status::error(ErrorCode::kAborted, "the training was aborted");
    }
  }
  return {};
}

Status PieceCounter::spillTable(PieceTable& table) {
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    path = options_.folder + "/run-" + std::to_string(nextRun_++);
  }
  if (Status status = writeRun(path, table); !status.ok()) return status;
  table.clear();
  const std::lock_guard lock(mutex_);
  runs_.push_back(path);
  return {};
}

std::vector<std::string> PieceCounter::runs() const {
  const std::lock_guard lock(mutex_);
  return runs_;
}

Status PieceCounter::spillAll() {
  for (PieceTable& table : tables_) {
    if (table.size() == 0) continue;
    if (Status status = spillTable(table); !status.ok()) return status;
  }
  return {};
}

void PieceCounter::spill(Done done) {
  push({[this](PieceTable&) { return spillAll(); }, std::move(done), true});
}

void PieceCounter::train(MergeOptions options, uint64_t minPieceCount, std::vector<MergeRule>& merges,
                         TrainingSummary& summary, Done done) {
  push({[this, options = std::move(options), minPieceCount, &merges, &summary](PieceTable&) {
          return trainNow(options, minPieceCount, merges, summary);
        },
        std::move(done), true});
}

// Every distinct piece once: from the runs, or, where nothing is on disk, from the tables made one.
Status PieceCounter::eachPiece(const std::function<void(const PieceCount&)>& visit) {
  if (runs_.empty()) {
    tables_[0].each(visit);
    return {};
  }
  Status status = mergeRuns(runs_, options_.folder + "/merged-", [&](const PieceCount& piece) {
    visit(piece);
    return !cancelled_.load(std::memory_order_relaxed);
  });
  if (status.ok() && cancelled_) return Status::error(ErrorCode::kAborted, "the training was aborted");
  return status;
}

Status PieceCounter::trainNow(const MergeOptions& options, uint64_t minPieceCount, std::vector<MergeRule>& merges,
                              TrainingSummary& summary) {
  // The threads' tables are merged into one, or spilled as runs where that would exceed the memory.
  size_t inTables = 0, used = 0;
  for (const PieceTable& table : tables_) {
    inTables += table.memoryBytes();
    used += MergeTrainer::memoryBytes(table.pieceBytes(), table.size());
  }
  if (!runs_.empty() || inTables + used > options_.memoryBytes) {
    if (Status status = spillAll(); !status.ok()) return status;
  } else {
    PieceTable whole;
    for (PieceTable& table : tables_) {
      table.each([&](const PieceCount& piece) { (void)whole.add(piece.bytes, piece.length, piece.count); });
      table.clear();
    }
    tables_[0] = std::move(whole);
  }

  // What a training would take if pieces that occur fewer than n times were left out, for n up to kTold.
  constexpr size_t kTold = 64;
  std::array<size_t, kTold + 1> bytes{}, pieces{};
  if (Status status = eachPiece([&](const PieceCount& piece) {
        summary.pieces += piece.count;
        summary.distinct += 1;
        const size_t count = std::min<uint64_t>(piece.count, kTold);
        if (piece.length >= 2) bytes[count] += piece.length, pieces[count] += 1;
      });
      !status.ok()) {
    return status;
  }
  for (size_t n = kTold; n-- > 1;) bytes[n] += bytes[n + 1], pieces[n] += pieces[n + 1];
  const size_t from = std::clamp<uint64_t>(minPieceCount, 1, kTold);
  const size_t needed = MergeTrainer::memoryBytes(bytes[from], pieces[from]);
  if (needed > options_.memoryBytes) {
    size_t fits = from + 1;
    while (fits <= kTold && MergeTrainer::memoryBytes(bytes[fits], pieces[fits]) > options_.memoryBytes) fits += 1;
    return Status::error(
        ErrorCode::kOutOfMemory,
        "learning merges from " + std::to_string(pieces[from]) + " distinct pieces takes up to " +
            std::to_string(needed) + " bytes, and it was given " + std::to_string(options_.memoryBytes) +
            ". Give it more" +
            (fits <= kTold ? ", or leave out pieces that occur fewer than " + std::to_string(fits) + " times" : "") +
            ".");
  }

  MergeTrainer trainer;
  if (Status status = trainer.reserve(bytes[from], pieces[from]); !status.ok()) return status;
  const uint64_t least = std::max<uint64_t>(minPieceCount, 1);
  if (Status status = eachPiece([&](const PieceCount& piece) {
        if (piece.count >= least) trainer.add(piece);
      });
      !status.ok()) {
    return status;
  }
  tables_[0].clear();
  MergeOptions bounded = options;
  bounded.memoryBytes = options_.memoryBytes;
  return trainer.train(bounded, cancelled_, mergesDone_, merges);
}

size_t pieceCut(Pattern pattern, const uint8_t* text, size_t end) {
  const auto letter = [](uint8_t byte) { return static_cast<uint8_t>((byte | 0x20) - 'a') < 26; };
  // Whether the character at `at` is surely no white space: beyond ASCII, what the first two bytes tell.
  const auto visible = [&](size_t at) {
    const uint8_t lead = text[at];
    if (lead < 0x80) return lead > ' ' && lead < 0x7f;
    if (lead == 0xe3) return at + 1 < end && text[at + 1] >= 0x81;
    return lead >= 0xc3 && lead <= 0xf4 && lead != 0xe1 && lead != 0xe2;
  };
  const auto visibleBefore = [&](size_t at) {
    while (at > 1 && (text[at - 1] & 0xc0) == 0x80) at -= 1;
    return at > 0 && visible(at - 1);
  };
  // In every pattern a piece ends behind a letter when a space and a letter follow, and behind a single line's end when
  // a letter follows; ending the text there changes nothing before it.
  for (size_t at = end; at-- > 1;) {
    if (text[at] == ' ' && at + 1 < end && letter(text[at - 1]) && letter(text[at + 1])) return at;
    const bool follows = letter(text[at]) || (text[at] >= 0x80 && visible(at));
    if (text[at - 1] == '\n' && follows && visibleBefore(at - 1)) return at;
  }
  // Otherwise the pattern tells. A piece's end is settled by the white space behind it and a little of what follows
  // that (at most a contraction); the pieces before it must come out the same when the text ends there.
  constexpr size_t kBehind = 16;
  size_t settled = end > kBehind ? end - kBehind : 0;
  while (settled > 0 && !visible(settled)) settled -= 1;
  size_t cut = 0, before = 0;
  for (size_t at = 0; at < settled;) {
    const size_t next = pieceEnd(pattern, text, at, end);
    if (next > settled) break;
    if (pieceEnd(pattern, text, before, next) == (before == at ? next : at) &&
        pieceEnd(pattern, text, at, next) == next) {
      cut = next;
    }
    before = at;
    at = next;
  }
  return cut;
}

}  // namespace quipu::tokenizer
