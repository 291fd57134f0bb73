#include "thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>

namespace vtepd {

namespace {

/** The kernel raises the soft limit by a second each time it sends the signal (setrlimit(2)): it is set anew. */
bool watchRealTime() {
  rlimit limit;
  if (getrlimit(RLIMIT_RTTIME, &limit) != 0) return false;
  limit.rlim_cur = limit.rlim_max < kMostUnbrokenUs ? limit.rlim_max : kMostUnbrokenUs;
  return setrlimit(RLIMIT_RTTIME, &limit) == 0;
}

/** In the thread that has run for too long; nothing but system calls is done here. */
void demote(int) {
  int before = errno;
  sched_param none{};
  sched_setscheduler(0, SCHED_OTHER, &none);
  watchRealTime();
  errno = before;
}

int becomeRealTime(int priority) {
  struct sigaction action{};
  action.sa_handler = demote;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigset_t overrun;
  sigemptyset(&overrun);
  sigaddset(&overrun, SIGXCPU);
  // Not blocked here, so that the kernel hands it to this thread and to no other.
  if (sigaction(SIGXCPU, &action, nullptr) != 0 || pthread_sigmask(SIG_UNBLOCK, &overrun, nullptr) != 0 ||
      !watchRealTime())
    return -errno;
  sched_param param{};
  param.sched_priority = priority;
  // Threads that it makes are ordinary ones.
  return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0 ? 0 : -errno;
}

int becomeNice(int value) { return setpriority(PRIO_PROCESS, 0, value) == 0 ? 0 : -errno; }

int pin(const int32_t* cpus, size_t count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (size_t i = 0; i < count; i++) {
    if (cpus[i] < 0 || cpus[i] >= CPU_SETSIZE) return -EINVAL;
    CPU_SET(static_cast<size_t>(cpus[i]), &set);
  }
  return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
}

}  // namespace

void scheduleThread(const ThreadRequest& request, ThreadOutcome& outcome) {
  outcome.tid = static_cast<int>(syscall(SYS_gettid));
  if (request.cpuCount > 0) outcome.cpusError = pin(request.cpus, request.cpuCount);
  if (request.policy == POLICY_NICE) outcome.priorityError = becomeNice(request.value);
  if (request.policy == POLICY_FIFO) outcome.priorityError = becomeRealTime(request.value);
}

long threadWaits() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

}  // namespace vtepd
