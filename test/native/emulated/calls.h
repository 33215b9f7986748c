// What the tests of the emulated instructions share. No function here has a linker's name: a copy compiled for AVX-512
// could be taken for all.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quipu::test {

struct Register {
  alignas(64) uint8_t byte[64];
};

struct Input {
  Register a, b, c;
  uint16_t mask;
  uint8_t* memory;  // that loads read and stores write: as much as the mask asks for
};

enum class Memory : uint8_t { kNone, kRead, kWritten };

// One instruction with one immediate. A result of less than 64 bytes leaves the others as they are.
struct Call {
  const char* name;
  int immediate;
  Memory memory;
  void (*run)(const Input& in, Register& out);
};

struct Calls {
  const Call* list;
  size_t count;
};

Calls emulatedCalls();
Calls callsOfCpu();  // runs only where the CPU has what it calls

}  // namespace quipu::test
