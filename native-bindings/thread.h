// How the kernel schedules the calling thread: nice value or real-time priority, and the processors it may run on.
//
// A real-time thread that never waits would keep a processor for itself, and main with it, which is the one that would notice.
// So a thread that is given FIFO is watched by the kernel (RLIMIT_RTTIME): when it has run for kMostUnbrokenUs without
// waiting once, SIGXCPU arrives in it, and the handler puts it back among ordinary threads.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vtepd {

enum ThreadPolicy { POLICY_LEAVE, POLICY_NICE, POLICY_FIFO };

constexpr long kMostUnbrokenUs = 1000 * 1000;

struct ThreadRequest {
  int policy;  // ThreadPolicy
  int value;   // nice -20..19, or real-time priority 1..99
  const int32_t* cpus;
  size_t cpuCount;  // 0: wherever it may run now
};

struct ThreadOutcome {
  int tid = 0;
  int priorityError = 0;  // negative errnos; 0: granted, or not asked for
  int cpusError = 0;
};

/** Ask it for the calling thread. What is refused leaves the thread as it was. */
void scheduleThread(const ThreadRequest& request, ThreadOutcome& outcome);

/** How often the calling thread has waited for something, ever (its voluntary context switches). */
long threadWaits();

}  // namespace vtepd
