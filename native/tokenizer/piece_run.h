// Counts of pieces on disk: a run is a file of pieces in the order of their bytes, made when a table is full, and runs
// are merged by reading them side by side.
//
//   "QPPIECE1", then of every piece: varint length, bytes, varint count; then a zero, u64 pieces and u64 checksum
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "tokenizer/piece_table.h"

namespace quipu::tokenizer {

// Writes the pieces of a table; the file appears under `path` when it is whole.
Status writeRun(const std::string& path, const PieceTable& table);

// Calls `visit` once for every distinct piece of all runs, in the order of their bytes, with its counts added up. Where
// there are more runs than may be open at once, the first are merged into `path` + number. A false from `visit` ends it
// early, without error.
Status mergeRuns(std::vector<std::string> runs, const std::string& path,
                 const std::function<bool(const PieceCount&)>& visit);

}  // namespace quipu::tokenizer
