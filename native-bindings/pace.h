// How soon a worker looks for frames again.
//
// A thread that is put on a processor at the first packet finds one packet, and pays a wake-up and a send for it alone; under a flood of
// small ones that is most of what it does. NICs know this and moderate their interrupts; so does this: where many small frames come in
// small batches, a worker lets a moment pass before it looks again. Super-frames and bulk TCP never meet it, nor does a lone ping.
#pragma once
#include <cstdint>

namespace vtepd {

struct Pace {
  uint32_t sinceMs;        // begin of the window that is counted
  uint32_t frames, bytes;  // in it; bytes of the arena, headroom included
  bool crowded;            // the window before had many small ones
};

/** Count a batch, `nowMs` by the monotonic clock. */
void judgePace(Pace& pace, uint32_t nowMs, uint32_t frames, uint32_t bytes);
/** Let a moment pass, if frames come so fast and the last batch was so small that the next would be as small. Whether it did. */
bool keepPace(const Pace& pace, uint32_t lastFrames);

}  // namespace vtepd
