/* spins ROUNDS KIND COOKIE: a program that spins in rounds of 2 (pair), 4 (four), or 6 (six) calls; `results`: the same call on the
 * same descriptor, which alternates between two results; `echoes`: not a spin, because each round sleeps; `between`: a spin of two
 * calls, with a sleep after every 1,000 rounds. */
#include "marker.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

int main(int argc, char **argv) {
  long rounds = atol(argv[1]);
  const char *kind = argv[2];
  int ends[2], is_six = !strcmp(kind, "six"), is_four = is_six || !strcmp(kind, "four");
  char data[8];
  struct stat found;
  struct timespec nothing = {.tv_nsec = 1};
  if (pipe(ends)) return 1;
  close(ends[1]);
  struct pollfd ended = {.fd = ends[0], .events = POLLIN};
  follow_me(argv[3]);
  for (long i = 0; i < rounds; i++) {
    if (!strcmp(kind, "results")) {
      syscall(SYS_fcntl, ends[0], 1 /* F_GETFD */);
      syscall(SYS_fcntl, ends[0], 3 /* F_GETFL */);
      continue;
    }
    if (poll(&ended, 1, -1) != 1 || read(ends[0], data, sizeof(data))) return 1;
    if (is_four && (fstat(ends[0], &found) || syscall(SYS_getppid) < 0)) return 1;
    if (is_six && (syscall(SYS_getuid) < 0 || syscall(SYS_getgid) < 0)) return 1;
    if (!strcmp(kind, "echoes") || (!strcmp(kind, "between") && i % 1000 == 999)) nanosleep(&nothing, 0);
  }
  return 0;
}
