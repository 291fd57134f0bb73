// A fuzzer for machines without libFuzzer: inputs are seeds of the target's own making, mutated a few times over
// (bit flips, interesting values, length lies, cuts, repeats, splices of two inputs). Every input is a function of
// (SEED, number), so a failure is repeated by SEED alone; the input itself is left in /tmp/vtepd-crash-*.bin and can be given as
// an argument. With clang the targets are linked with libFuzzer instead, and only the custom mutator below is used.
//
//     SEED=n FUZZ_SECONDS=10 fuzz-segment [crash file ...]
#include <unistd.h>
#include <csignal>
#include <cstring>
#include <ctime>

#include "oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
/** A well-formed input of the target. */
Bytes fuzzSeed(Random& random);

#ifdef LIBFUZZER
#include <algorithm>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Random random{seed};
  if (size > 8 && !random.onceIn(64)) return LLVMFuzzerMutate(data, size, max_size);
  const Bytes fresh = fuzzSeed(random);
  size = std::min(fresh.size(), max_size);
  if (size > 0) std::memcpy(data, fresh.data(), size);
  return size;
}
#else
#include <sanitizer/asan_interface.h>

static Bytes gInput;
static uint64_t gSeed, gNumber;

// The machine is about to go down: leave the input and the way back to it.
static void leaveInput() {
  char name[96];
  const int length = std::snprintf(name, sizeof name, "/tmp/vtepd-crash-%llu-%llu.bin",
                                   static_cast<unsigned long long>(gSeed), static_cast<unsigned long long>(gNumber));
  std::fprintf(stderr, "input %.*s, SEED=%llu\n", length, name, static_cast<unsigned long long>(gSeed));
  if (FILE* file = std::fopen(name, "wb")) {
    std::fwrite(gInput.data(), 1, gInput.size(), file);
    std::fclose(file);
  }
}

static void onSignal(int signal) {
  leaveInput();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

static void mutate(Bytes& input, Random& random) {
  static const uint16_t kInteresting[] = {0,      1,      2,      4,      5,      6,      8,      15,     16,
                                          17,     20,     40,     43,     44,     60,     64,     127,    128,
                                          129,    255,    256,    0x0800, 0x0806, 0x1fff, 0x2000, 0x3fff, 0x4000,
                                          0x6000, 0x7fff, 0x8000, 0x8100, 0x86dd, 0xfffe, 0xffff};
  const uint32_t size = static_cast<uint32_t>(input.size());
  if (size < 2) {
    input = random.bytes(64);
    return;
  }
  // Headers stand in front: most changes go there.
  const uint32_t at = random.onceIn(3) ? random.below(size - 1) : random.below(size <= 120 ? size - 1 : 120);
  switch (random.below(9)) {
    case 0: input[at] = static_cast<uint8_t>(input[at] ^ 1 << random.below(8)); break;
    case 1: input[at] = static_cast<uint8_t>(random.next()); break;
    case 2:
    case 3: {
      const uint16_t value = kInteresting[random.below(sizeof kInteresting / sizeof *kInteresting)];
      input[at] = static_cast<uint8_t>(value >> 8);
      input[at + 1] = static_cast<uint8_t>(value);
      break;
    }
    case 4: input[at] = static_cast<uint8_t>(input[at] + random.below(9) - 4); break;
    case 5: input.resize(1 + random.below(size)); break;
    case 6: {
      const Bytes more = random.bytes(random.below(64));
      input.insert(input.begin() + at, more.begin(), more.end());
      break;
    }
    case 7:
      input.erase(input.begin() + at, input.begin() + at + 1 + random.below(size - at < 8 ? size - at : 8));
      break;
    case 8: {
      const uint32_t from = random.below(size), bytes = random.below(size - from < 64 ? size - from : 64);
      const Bytes part(input.begin() + from, input.begin() + from + bytes);
      input.insert(input.begin() + at, part.begin(), part.end());
      break;
    }
  }
}

static double now() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

int main(int argc, char** argv) {
  std::signal(SIGABRT, onSignal);
  __sanitizer_set_death_callback(leaveInput);
  for (int i = 1; i < argc; i++) {
    FILE* file = std::fopen(argv[i], "rb");
    CHECK(file != nullptr);
    gInput.resize(1 << 20);
    gInput.resize(std::fread(gInput.data(), 1, gInput.size(), file));
    std::fclose(file);
    LLVMFuzzerTestOneInput(gInput.data(), gInput.size());
    std::printf("%s: ok\n", argv[i]);
  }
  if (argc > 1) return 0;

  gSeed = seedOfRun();
  const char* wanted = std::getenv("FUZZ_SECONDS");
  const double seconds = wanted != nullptr ? std::atof(wanted) : 10;
  const char* name = std::strrchr(argv[0], '/') != nullptr ? std::strrchr(argv[0], '/') + 1 : argv[0];
  std::printf("%s: SEED=%llu, %g s\n", name, static_cast<unsigned long long>(gSeed), seconds);
  std::fflush(stdout);
  const double start = now();
  double slowest = 0, last = start;
  for (gNumber = 0; last - start < seconds; gNumber++) {
    Random random{gSeed + gNumber * 0x632be59bd9b4e019u};
    random.next();
    gInput = fuzzSeed(random);
    for (uint32_t n = random.onceIn(8) ? 0 : 1 + random.below(random.onceIn(4) ? 24 : 4); n > 0; n--)
      mutate(gInput, random);
    LLVMFuzzerTestOneInput(gInput.data(), gInput.size());
    const double done = now();
    if (done - last > slowest) slowest = done - last;
    last = done;
  }
  std::printf("%s: ok, %llu executions, slowest %.1f ms\n", name, static_cast<unsigned long long>(gNumber),
              slowest * 1e3);
}
#endif
