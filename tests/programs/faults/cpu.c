/* "wrong": four threads compute on one CPU. "right": one thread computes. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <string.h>

static void *compute(void *unused) {
  for (volatile long i = 0; i < 100000000; i++) {
  }
  return unused;
}

int main(int argc, char **argv) {
  int number = argc > 1 && !strcmp(argv[1], "wrong") ? 4 : 1;
  cpu_set_t one;
  pthread_t threads[4];
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  if (number > 1)
    sched_setaffinity(0, sizeof one, &one);
  for (int i = 0; i < number; i++)
    pthread_create(&threads[i], 0, compute, 0);
  for (int i = 0; i < number; i++)
    pthread_join(threads[i], 0);
  return 0;
}
