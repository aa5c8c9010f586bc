/* Four threads do 40 short pieces of work each. "wrong": each piece is done under one mutex. "right": each thread has its own. */
#include "connection.h"
#include <pthread.h>
#include <string.h>

static pthread_mutex_t locks[4] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                   PTHREAD_MUTEX_INITIALIZER};

static void *work(void *mine) {
  for (int i = 0; i < 40; i++) {
    pthread_mutex_lock(mine);
    struct timespec t = {0, 500000};
    nanosleep(&t, 0);
    pthread_mutex_unlock(mine);
  }
  return 0;
}

int main(int argc, char **argv) {
  int one = argc > 1 && !strcmp(argv[1], "wrong");
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], 0, work, &locks[one ? 0 : i]);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], 0);
  return 0;
}
