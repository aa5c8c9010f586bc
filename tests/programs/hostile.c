/* hostile ARGS...: threads and a child whose names are commands for a terminal, or markup; each sleeps, and wakes another. */
#include "marker.h"
#include <pthread.h>
#include <sys/wait.h>

static const char *names[] = {
  "\033[31mRED\nNEXT", "a[bold]b[/x]", "\xe2\x80\xae" "evil\xc2\x9b" "2J", "\r\t\x07\x7f\xff", "\033]0;title\x07",
};
static int pipes[5][2];

static void *live(void *number) {
  long me = (long)number;
  char c;
  prctl(PR_SET_NAME, names[me]);
  if (read(pipes[me][0], &c, 1) != 1) abort();
  if (me && write(pipes[me - 1][1], "x", 1) != 1) abort();
  return 0;
}

int main(void) {
  pthread_t threads[5];
  for (long i = 0; i < 5; i++)
    if (pipe(pipes[i]) || pthread_create(&threads[i], NULL, live, (void *)i)) return 1;
  usleep(2000);
  if (write(pipes[4][1], "x", 1) != 1) return 1;
  for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
  prctl(PR_SET_NAME, names[0]);
  if (!fork()) _exit(0);
  wait(NULL);
  return 0;
}
