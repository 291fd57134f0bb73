#include "netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace vtepd {

bool Failure::at(const char* name) { return at(name, errno); }

bool Failure::at(const char* name, int number) {
  step = name;
  error = number;
  return false;
}

bool isPresentNamespace(int nsFd) {
  struct stat wanted, present;
  return fstat(nsFd, &wanted) == 0 && stat("/proc/thread-self/ns/net", &present) == 0 &&
         wanted.st_ino == present.st_ino && wanted.st_dev == present.st_dev;
}

bool NetworkNamespace::enter(const char* path, Failure& failure) {
  if (path[0] == '\0') return true;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failure.at("open network namespace");
  bool entered = enterFd(fd, failure);
  close(fd);
  return entered;
}

bool NetworkNamespace::enterNew() {
  home_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home_ < 0) return false;
  if (unshare(CLONE_NEWNET) == 0) return true;
  close(home_);
  home_ = -1;
  return false;
}

bool NetworkNamespace::enterFd(int fd, Failure& failure) {
  if (isPresentNamespace(fd)) return true;
  home_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home_ < 0) return failure.at("open own network namespace");
  if (setns(fd, CLONE_NEWNET) == 0) return true;
  failure.at("enter network namespace");
  close(home_);
  home_ = -1;
  return false;
}

NetworkNamespace::~NetworkNamespace() {
  if (home_ < 0) return;
  if (setns(home_, CLONE_NEWNET) != 0) {
    perror("vtepd: cannot return to the own network namespace");
    abort();
  }
  close(home_);
}

}  // namespace vtepd
