/* How waits.c lets a child block and wakes it: see struct wait. */
#pragma once
#include "asleep.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* One way to block. `prepare` (may be 0) runs in the parent and returns 1 where this machine lacks what the wait needs. `block`
 * runs in a child of its own. `wake` (0: the wait ends by itself) runs in the parent when the child sleeps. */
struct wait {
  const char *name;
  int (*prepare)(void);
  void (*block)(void);
  void (*wake)(pid_t child);
};

static int p[2], q[2], fd = -1, other = -1;  /* what the parts of one wait share */
static char big[1 << 20];
static const struct timespec soon = {0, 20000000};

struct shared {
  volatile int armed;  /* the child blocks in its next call */
  volatile int word;   /* a futex */
  pthread_mutex_t mutex, inherits, robust;
  pthread_cond_t condition;
};
static struct shared *shared;

static void arm(void) { shared->armed = 1; }

static void check(int good, const char *what) {
  if (!good) {
    perror(what);
    abort();
  }
}

static void until_blocked(pid_t pid) {
  int status;
  while (!shared->armed && waitpid(pid, &status, WNOHANG | WNOWAIT) == 0) sched_yield();
  until_asleep(pid, pid);
}

/* Runs one wait; prints its name and the child's pid, or why there is none. */
static void run(const struct wait *w) {
  shared->armed = 0;
  if (w->prepare && w->prepare()) {
    printf("%s: not here: %s\n", w->name, strerror(errno));
    return;
  }
  pid_t child = fork();
  if (!child) {
    w->block();
    _exit(0);
  }
  until_blocked(child);
  if (w->wake) w->wake(child);
  waitpid(child, 0, 0);
  printf("%s: %d\n", w->name, child);
}

static void write_x(int to) { check(write(to, "x", 1) == 1, "write"); }

static void fill(int to) {  /* until it takes nothing more */
  int flags = fcntl(to, F_GETFL);
  fcntl(to, F_SETFL, flags | O_NONBLOCK);
  for (size_t size = sizeof(big); size; size /= 2)
    while (write(to, big, size) > 0) {}
  fcntl(to, F_SETFL, flags);
}

static void until_ended(pid_t child) {
  siginfo_t info;
  waitid(P_PID, child, &info, WNOWAIT | WEXITED);
}

static void interrupt(pid_t child) { kill(child, SIGUSR1); }
static void on_signal(int number) { (void)number; }
