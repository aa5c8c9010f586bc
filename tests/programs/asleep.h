/* Waiting until another task sleeps, without a guess how long that takes. */
#pragma once
#include "marker.h"

/* Waits until the task sleeps, is stopped, or has ended: seen twice, as a task that spins for a lock looks asleep, too. It spins
 * only while the lock's owner is on a CPU (kernel/locking/rtmutex.c, rtmutex_spin_on_owner), so this one leaves its CPU. */
static void until_asleep(pid_t pid, pid_t tid) {
  char path[64], line[256];
  snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
  for (int seen = 0; seen < 2; usleep(50)) {
    FILE *file = fopen(path, "r");
    if (!file) return;
    char state = fgets(line, sizeof(line), file) ? strrchr(line, ')')[2] : 'X';
    fclose(file);
    seen = strchr("SDTtZX", state) ? seen + 1 : 0;
  }
}
