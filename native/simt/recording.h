// Launches as files, so that something else than this emulator can run them: test/cuda/ptx runs what nvcc has made of
// the same kernel, and expects the same memory. QUIPU_SIMT_RECORD names the folder, which is there; a launch of the
// same kernel, grid and shared memory as one before is left out.
//
//   launches.jsonl   a line each: kernel (as addr2line -C says it), grid, block, shared (dynamic bytes), arguments
//                    (hexadecimal, one each), memory: of every allocation that an argument points into its address,
//                    bytes, and the numbers of its pages before and after
//   pages.bin        the pages, of 4096 bytes, each once
#pragma once

#include <span>
#include <string>
#include <vector>

#include "simt/grid.h"

namespace quipu::simt {

// A launch that is about to run.
class Recording {
 public:
  explicit Recording(const Launch& launch);
  // It has run.
  void end();

 private:
  struct Piece {
    std::span<const std::byte> bytes;
    std::string before;  // numbers of pages, as JSON
  };

  const Launch& launch_;
  bool wanted_ = false;
  std::vector<std::vector<std::byte>> arguments_;
  std::vector<Piece> memory_;
};

}  // namespace quipu::simt
