// intrinsics_test [rounds]: every emulated instruction with every immediate against the pseudo-code, on random words;
// the CPU's own against the same, where it has them, so that the pseudo-code is held to something too; and masked loads
// and stores at the end of a page, beyond which nothing may be touched.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "cpu/features.h"
#include "emulated/pseudo_code.h"

namespace quipu::test {

namespace {

std::mt19937 random32(1);

uint32_t below(uint32_t n) { return random32() % n; }

uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

// A word of one of the kinds that instructions tell apart.
uint32_t someWord() {
  static const uint32_t kSpecial[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xff800001,
                                      0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x4effffff,
                                      0x4f000000, 0xcf000000, 0xcf000001, 0x477fefff, 0x477ff000, 0x33000000};
  const float unit = float(int32_t(random32())) * 0x1p-31f;
  switch (below(7)) {
    case 0:
      return kSpecial[below(sizeof kSpecial / sizeof *kSpecial)];
    case 1:
      return bitsOf(float(int(below(801)) - 400));
    case 2:
      return bitsOf(float(int(below(801)) - 400) / 2);
    case 3:
      return bitsOf(unit);
    case 4:
      return bitsOf(std::ldexp(unit, int(below(44)) - 26));  // of f16's range, and somewhat more
    case 5:
      return uint32_t(int(below(601)) - 300);
    default:
      return random32();
  }
}

Register someRegister() {
  Register r;
  for (int i = 0; i < 64; i += 4) {
    const uint32_t word = someWord();
    memcpy(r.byte + i, &word, 4);
  }
  return r;
}

bool isNan(LaneKind kind, uint32_t lane) {
  return kind == LaneKind::kF16 ? (lane & 0x7fff) > 0x7c00 : (lane & 0x7fffffff) > 0x7f800000;
}

bool same(LaneKind kind, const Input& in, const Register& a, const Register& b) {
  if (memcmp(a.byte, b.byte, 64) == 0) return true;
  if (kind == LaneKind::kBits) return false;
  if (kind == LaneKind::kMaximum) {
    float lanes[16], x, y;
    memcpy(lanes, in.a.byte, 64);
    memcpy(&x, a.byte, 4);
    memcpy(&y, b.byte, 4);
    return x == y || std::any_of(lanes, lanes + 16, [](float lane) { return std::isnan(lane); });
  }
  const size_t bytes = kind == LaneKind::kF16 ? 2 : 4;
  for (size_t i = 0; i < 64; i += bytes) {
    uint32_t x = 0, y = 0;
    memcpy(&x, a.byte + i, bytes);
    memcpy(&y, b.byte + i, bytes);
    if (x != y && !(isNan(kind, x) && isNan(kind, y))) return false;
  }
  return true;
}

void print(const char* what, const Register& r) {
  fprintf(stderr, "  %s", what);
  for (int i = 0; i < 64; i += 4) {
    uint32_t word;
    memcpy(&word, r.byte + i, 4);
    fprintf(stderr, " %08x", word);
  }
  fprintf(stderr, "\n");
}

// What a call gives: its result, or the memory that it wrote.
Register resultOf(const Call& call, Input in) {
  Register out = {}, memory = in.c;
  in.memory = memory.byte;
  call.run(in, out);
  return call.memory == Memory::kWritten ? memory : out;
}

void compare(const Call& call, const PseudoCode& code, const char* whose) {
  Input in = {someRegister(), someRegister(), someRegister(), uint16_t(random32()), nullptr};
  in.memory = in.c.byte;
  Register expected = call.memory == Memory::kWritten ? in.c : Register{};
  code.run(in, call.immediate, expected);
  const Register got = resultOf(call, in);
  if (same(code.kind, in, got, expected)) return;
  fprintf(stderr, "%s (%s), immediate %d, mask %04x\n", call.name, whose, call.immediate, in.mask);
  print("a       ", in.a);
  print("b       ", in.b);
  print("c       ", in.c);
  print("expected", expected);
  print("got     ", got);
  exit(1);
}

size_t compareAll(const Calls& calls, uint64_t rounds, const char* whose, bool (*has)(const char* name)) {
  size_t compared = 0;
  for (size_t i = 0; i < calls.count; ++i) {
    const Call& call = calls.list[i];
    const auto code = pseudoCode().find(call.name);
    if (code == pseudoCode().end()) {
      fprintf(stderr, "%s has no pseudo-code\n", call.name);
      exit(1);
    }
    if (!has(call.name)) continue;
    for (uint64_t round = 0; round < rounds; ++round) compare(call, code->second, whose);
    compared += 1;
  }
  return compared;
}

// Lanes that end with the page, and masks that leave out what is beyond it: to touch that is the end of the process.
void stayInside(const Calls& calls) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto* memory =
      static_cast<uint8_t*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED || mprotect(memory + page, page, PROT_NONE) != 0) exit(1);
  for (size_t i = 0; i < calls.count; ++i) {
    const std::string name = calls.list[i].name;
    if (calls.list[i].memory == Memory::kNone || name.find("mask") == std::string::npos) continue;
    const size_t lane = name.ends_with("_ps") ? 4 : name.ends_with("_epi16") ? 2 : 1;
    for (size_t lanes = 0; lanes <= 16; ++lanes) {
      Register out;
      Input in = {someRegister(), {}, {}, uint16_t((1u << lanes) - 1), memory + page - lanes * lane};
      calls.list[i].run(in, out);
    }
  }
}

bool cpuHas(const char* name) {
  static const cpu::Features features = cpu::readFeatures();
  if (strstr(name, "d_avx_epi32") != nullptr) return features.avxVnni;
  const bool isVnni = strstr(name, "dpbusd") != nullptr || strstr(name, "dpwssd") != nullptr;
  return isVnni ? features.avx512Vnni : features.avx512;
}

}  // namespace

int run(uint64_t rounds) {
  if (!cpu::readFeatures().avx2) return 77;  // nothing to emulate with
  stayInside(emulatedCalls());
  const size_t emulated = compareAll(emulatedCalls(), rounds, "emulated", [](const char*) { return true; });
  printf("emulated: %zu instructions and immediates as in the pseudo-code, %llu times each\n", emulated,
         static_cast<unsigned long long>(rounds));
  const size_t own = compareAll(callsOfCpu(), rounds, "this CPU's", cpuHas);
  printf("this CPU's own: %zu of them\n", own);
  return 0;
}

}  // namespace quipu::test

int main(int argc, char** argv) { return quipu::test::run(argc > 1 ? strtoull(argv[1], nullptr, 10) : 500); }
