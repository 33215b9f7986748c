// cpu/kernels/shares.h: tasks are the rows, each once and in order, none larger than one before, the last ones small.
#include <algorithm>
#include <cstddef>
#include <initializer_list>

#include "checks.h"
#include "cpu/inline.h"

namespace quipu::test {

namespace {

#include "cpu/kernels/shares.h"

void check(const Shares& shares) {
  const size_t tasks = shares.tasks(), units = (shares.rows + shares.unit - 1) / shares.unit;
  size_t row = 0, before = shares.mostRows(), size = 0;
  for (size_t task = 0; task < tasks; ++task) {
    const Share share = shares.at(task);
    QUIPU_EXPECT(share.first == row && share.last > row && share.last <= shares.rows);
    QUIPU_EXPECT(share.first % shares.unit == 0);
    row = share.last;
    size = share.last - share.first;
    QUIPU_EXPECT(size <= before && size <= shares.most * shares.unit);
    before = size;
  }
  QUIPU_EXPECT(row == shares.rows);
  if (tasks > 0) QUIPU_EXPECT(shares.mostRows() == shares.at(0).last);
  // Threads that lag behind leave others something to do.
  if (units >= shares.threads * shares.least * 8) QUIPU_EXPECT(tasks >= 3 * size_t{shares.threads});
}

}  // namespace

uint64_t testShares() {
  uint64_t count = 0;
  for (size_t rows = 0; rows < 600; ++rows) {
    for (const size_t unit : {1, 4, 16}) {
      for (const size_t least : {1, 2, 5}) {
        for (const size_t most : {1, 5, 40}) {
          for (const uint32_t threads : {1, 2, 3, 8}) {
            check({rows, unit, std::min(least, most), most, threads});
            count += 1;
          }
        }
      }
    }
  }
  const Shares large = {size_t{1} << 40, 16, 4, 113, 2};  // the largest sizes are told by arithmetic, not one by one
  QUIPU_EXPECT(large.at(large.tasks() - 1).last == large.rows);
  return count;
}

}  // namespace quipu::test
