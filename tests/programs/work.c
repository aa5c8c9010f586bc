/* work MS CPU COOKIE: MS milliseconds of CPU time on one CPU, two thirds in user code, one third in system calls. */
#include "marker.h"
#include <fcntl.h>
#include <sched.h>

int main(int argc, char **argv) {
  long long budget = atol(argv[1]) * 1000000LL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(argv[2]), &set);
  sched_setaffinity(0, sizeof(set), &set);
  int zero = open("/dev/zero", O_RDONLY);
  static char buffer[1 << 20];
  volatile unsigned long sum = 0;
  follow_me(argv[3]);
  struct account before = account();
  long long start = now_ns(CLOCK_THREAD_CPUTIME_ID);
  while (now_ns(CLOCK_THREAD_CPUTIME_ID) - start < budget) {
    long long t = now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) - t < 2000000)
      for (int i = 0; i < 20000; i++) sum += i;
    t = now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) - t < 1000000)
      if (read(zero, buffer, sizeof(buffer)) != sizeof(buffer)) return 1;
  }
  print_account(before, account());
  fflush(stdout);
  _exit(0);
}
