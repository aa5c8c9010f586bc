/* Three threads wait for one another: main reads a pipe, "writer" waits for "sleeper" at a mutex, "sleeper" pauses.
 * chain child: main waits for a child that pauses. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ends[2], locked[2];

static void pause_ms(int ms) {
  struct timespec t = {0, ms * 1000000L};
  nanosleep(&t, 0);
}

static void *sleeper(void *unused) {
  prctl(PR_SET_NAME, "sleeper");
  pthread_mutex_lock(&lock);
  write(locked[1], "l", 1);
  pause_ms(60);
  pthread_mutex_unlock(&lock);
  return unused;
}

static void *writer(void *unused) {
  char c;
  prctl(PR_SET_NAME, "writer");
  read(locked[0], &c, 1);
  pthread_mutex_lock(&lock);
  write(ends[1], "d", 1);
  pthread_mutex_unlock(&lock);
  return unused;
}

int main(int argc, char **argv) {
  char c;
  if (argc > 1 && !strcmp(argv[1], "child")) {
    if (!fork()) {
      prctl(PR_SET_NAME, "child");
      pause_ms(40);
      _exit(0);
    }
    return wait(0) < 0;
  }
  pthread_t threads[2];
  if (pipe(ends) || pipe(locked))
    return 1;
  pthread_create(&threads[0], 0, sleeper, 0);
  pthread_create(&threads[1], 0, writer, 0);
  read(ends[0], &c, 1);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], 0);
  return 0;
}
