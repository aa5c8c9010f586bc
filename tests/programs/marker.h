/* How the test programs ask to be followed: see probes/capture/prctl.py. */
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static inline void follow_me(const char *cookie) {
  prctl(0x494f4c41, strtoul(cookie, NULL, 10), 0, 0, 0);
}

static inline long long now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* What the kernel itself says of this thread: switches, CPU times (us), ns on the CPU, ns of run delay. */
struct account {
  long voluntary, involuntary;
  long long user_us, system_us, cpu_ns, delay_ns, at_ns;
};

static inline struct account account(void) {
  struct account a = {};
  struct rusage r;
  long long cpu = 0, delay = 0;
  FILE *f = fopen("/proc/thread-self/schedstat", "r");
  if (f) {
    if (fscanf(f, "%lld %lld", &cpu, &delay) != 2) cpu = delay = -1;
    fclose(f);
  }
  getrusage(RUSAGE_THREAD, &r);
  a.voluntary = r.ru_nvcsw;
  a.involuntary = r.ru_nivcsw;
  a.user_us = r.ru_utime.tv_sec * 1000000LL + r.ru_utime.tv_usec;
  a.system_us = r.ru_stime.tv_sec * 1000000LL + r.ru_stime.tv_usec;
  a.cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
  a.delay_ns = delay;
  a.at_ns = now_ns(CLOCK_MONOTONIC);
  return a;
}

static inline void print_account(struct account a, struct account b) {
  printf("{\"voluntary\": %ld, \"involuntary\": %ld, \"user_us\": %lld, \"system_us\": %lld, \"cpu_ns\": %lld,"
         " \"delay_ns\": %lld, \"wall_ns\": %lld}\n",
         b.voluntary - a.voluntary, b.involuntary - a.involuntary, b.user_us - a.user_us, b.system_us - a.system_us,
         b.cpu_ns - a.cpu_ns, b.delay_ns - a.delay_ns, b.at_ns - a.at_ns);
}
