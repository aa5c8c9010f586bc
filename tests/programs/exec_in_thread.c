/* exec_in_thread: a thread that is not the leader executes `true`: the kernel gives it the leader's id (de_thread). */
#include "marker.h"
#include <pthread.h>

static void *execute(void *unused) {
  execl("/bin/true", "true", NULL);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t thread;
  pthread_create(&thread, NULL, execute, NULL);
  pthread_join(thread, NULL);
  return 1;
}
