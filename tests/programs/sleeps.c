/* sleeps COUNT COOKIE: sleeps COUNT times, in turn on a timer, a pipe fed by a thread, and a futex; prints its accounts. */
#include "marker.h"
#include <pthread.h>

static int feed[2], back[2];

static void *feeder(void *count) {
  char c;
  for (long i = 0; i < (long)count; i++) {
    if (read(feed[0], &c, 1) != 1) abort();
    usleep(1000);
    if (write(back[1], "y", 1) != 1) abort();
  }
  return NULL;
}

int main(int argc, char **argv) {
  long count = atol(argv[1]);
  pthread_t thread;
  char c;
  if (pipe(feed) || pipe(back)) return 1;
  pthread_create(&thread, NULL, feeder, (void *)count);
  follow_me(argv[2]);
  struct account before = account();
  for (long i = 0; i < count; i++) {
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
    if (write(feed[1], "x", 1) != 1 || read(back[0], &c, 1) != 1) return 1;
  }
  print_account(before, account());
  fflush(stdout);
  _exit(0);
}
