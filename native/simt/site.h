// Where in a kernel a collective or an atomic was called: a default argument, so that callers do not name it.
#pragma once

namespace quipu::simt {

struct Site {
  const char* file;
  int line;

  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
  bool operator==(const Site& other) const { return line == other.line && file == other.file; }
};

}  // namespace quipu::simt
