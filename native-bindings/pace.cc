#include "pace.h"

#include <ctime>

namespace vtepd {

namespace {

// In a millisecond, from both sides. A ping flood and requests one after another stay below it.
constexpr uint32_t kCrowd = 64;
// Of the arena: a frame, its headroom, and what aligns the next one. The mean of traffic with bulk TCP in it is above.
constexpr uint32_t kSmallBytes = 512;
// What a batch must bring to be worth its sends, and how long is waited for that: at a crowd's rate 20 frames, at 300 a millisecond 90.
// The kernel adds its timer slack of 50 us (prctl(2)).
constexpr uint32_t kEnoughFrames = 128;
constexpr long kMomentNs = 300'000;

}  // namespace

void judgePace(Pace& pace, uint32_t nowMs, uint32_t frames, uint32_t bytes) {
  if (nowMs != pace.sinceMs) {
    uint32_t ms = nowMs - pace.sinceMs;
    pace.crowded = pace.frames / ms >= kCrowd && pace.bytes / pace.frames < kSmallBytes;
    pace.sinceMs = nowMs;
    pace.frames = pace.bytes = 0;
  }
  pace.frames += frames;
  pace.bytes += bytes;
}

bool keepPace(const Pace& pace, uint32_t lastFrames) {
  if (!pace.crowded || lastFrames >= kEnoughFrames) return false;
  timespec moment{0, kMomentNs};
  nanosleep(&moment, nullptr);
  return true;
}

}  // namespace vtepd
