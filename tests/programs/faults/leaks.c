/* A service of 60 turns that leaves something behind in each: a file, a thread, a child that nobody waits for. "right" leaves
 * nothing; "pool" starts 40 threads and opens 40 files before its first turn, and keeps them. */
#include "connection.h"
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

enum { TURNS = 60, KEPT = 40 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void *waits(void *unused) {
  pthread_mutex_lock(&lock);
  pthread_cond_wait(&never, &lock);
  return unused;
}

static void *ends(void *unused) {
  return unused;
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "right";
  pthread_attr_t small;
  pthread_t thread;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 1 << 16);
  for (int i = 0; i < KEPT && !strcmp(way, "pool"); i++) {
    pthread_create(&thread, &small, waits, 0);
    open("/dev/null", O_RDONLY);
  }
  for (int i = 0; i < TURNS; i++) {
    if (!strcmp(way, "files"))
      open("/dev/null", O_RDONLY);
    else
      close(open("/dev/null", O_RDONLY));
    if (!strcmp(way, "threads")) {
      pthread_create(&thread, &small, waits, 0);
    } else if (!strcmp(way, "right")) {
      pthread_create(&thread, &small, ends, 0);
      pthread_join(thread, 0);
    }
    if (i % 6 == 0 && (!strcmp(way, "children") || !strcmp(way, "right"))) {
      if (!fork())
        _exit(0);
      if (!strcmp(way, "right"))
        wait(0);
    }
    pause_ms(20);
  }
  return 0;
}
