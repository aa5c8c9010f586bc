/* calls_in_thread COOKIE: a thousand calls in each of four threads. */
#include "marker.h"
#include <pthread.h>
#include <sys/syscall.h>

static void *work(void *unused) {
  for (int i = 0; i < 1000; i++) syscall(SYS_getppid);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[4];
  follow_me(argv[1]);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  return 0;
}
