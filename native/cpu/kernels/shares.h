// How the rows of a matrix are shared out in tasks. The first tasks are large, as a run through memory is slow until it
// is fetched ahead: with tasks of 64 KB two threads of Zen 5 read weights of bf16 an eighth slower than with those of
// 1 MB. Every next one is half of a thread's part of what is left, so that the last are small and threads end together.

struct Share {
  size_t first, last;  // rows
};

struct Shares {
  size_t rows;         // of the matrix
  size_t unit;         // rows: a task has whole units, the last one of all what is left
  size_t least, most;  // units of a task
  uint32_t threads;

  size_t tasks() const {
    return eachRound([](size_t, size_t, size_t, size_t) { return false; });
  }
  Share at(size_t task) const {
    Share share = {};
    eachRound([&](size_t before, size_t count, size_t start, size_t size) {
      if (task - before >= count) return false;
      const size_t first = (start + (task - before) * size) * unit, last = first + size * unit;
      share = {first, last < rows ? last : rows};
      return true;
    });
    return share;
  }
  // Rows that no task exceeds.
  size_t mostRows() const {
    const size_t of = roundSize((rows + unit - 1) / unit) * unit;
    return of < rows ? of : rows;
  }

 private:
  // Units of each task of a round, where so many are left.
  size_t roundSize(size_t left) const {
    const size_t half = (left + 2 * threads - 1) / (2 * threads);
    return half < least ? least : half > most ? most : half;
  }
  // A round is a task for each thread. Calls visit(tasks before, tasks, first unit, units of a task), all rounds of the
  // largest size as one, until it says true; returns the tasks of those that were visited.
  template <typename Visit>
  size_t eachRound(Visit visit) const {
    const size_t units = (rows + unit - 1) / unit, below = 2 * threads * (most - 1);  // units that need no larger ones
    const size_t large = units <= below ? 0 : (units - below - 1) / (threads * most) + 1;
    size_t before = 0, start = 0;
    for (size_t left = units; left > 0; left = units - start) {
      const bool isLarge = start == 0 && large > 0;
      const size_t size = isLarge ? most : roundSize(left), wanted = (left + size - 1) / size;
      const size_t round = isLarge ? large * threads : threads, count = wanted < round ? wanted : round;
      if (visit(before, count, start, size)) break;
      before += count;
      start += count * size < left ? count * size : left;
    }
    return before;
  }
};

// Of `rows` rows in units of so many bytes: tasks of about leastBytes to mostBytes.
QUIPU_INLINE Shares sharesOf(size_t rows, size_t unit, size_t unitBytes, size_t leastBytes, size_t mostBytes,
                             uint32_t threads) {
  const size_t least = leastBytes / unitBytes, most = mostBytes / unitBytes;
  return {rows, unit, least < 1 ? 1 : least, most < 1 ? 1 : most, threads};
}
