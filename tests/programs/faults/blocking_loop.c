/* An event loop with a timer of 12 ms that blocks once for 40 ms outside its wait: at a mutex, in a pause, for a child, for one
 * descriptor, for a pipe. "right": another thread pauses, and an eventfd reports its end to the loop. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ends[2], done;

static void pause_ms(int ms) {
  struct timespec t = {0, ms * 1000000L};
  nanosleep(&t, 0);
}

static void *helper(void *unused) {
  unsigned long long once = 1;
  prctl(PR_SET_NAME, "helper");
  pthread_mutex_lock(&lock);
  write(ends[1], "l", 1);
  pause_ms(40);
  pthread_mutex_unlock(&lock);
  write(done, &once, 8);
  write(ends[1], "d", 1);
  return unused;
}

static void turns(int e, int number) {
  struct epoll_event ready;
  unsigned long long sum;
  while (number--)
    if (epoll_wait(e, &ready, 1, 12) == 1)
      read(ready.data.fd, &sum, 8);
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "right";
  pthread_t thread;
  char c;
  struct epoll_event event = {.events = EPOLLIN};
  int e = epoll_create1(0), answers[2];
  event.data.fd = done = eventfd(0, 0);
  pipe(ends);
  pipe(answers);
  epoll_ctl(e, EPOLL_CTL_ADD, done, &event);
  turns(e, 5);
  if (!strcmp(way, "pause")) {
    pause_ms(40);
  } else if (!strcmp(way, "child")) {
    if (!fork()) {
      pause_ms(40);
      _exit(0);
    }
    wait(0);
  } else if (!strcmp(way, "one")) {
    struct pollfd wanted = {.fd = answers[0], .events = POLLIN};
    poll(&wanted, 1, 40);
  } else {
    pthread_create(&thread, 0, helper, 0);
    read(ends[0], &c, 1);
    if (!strcmp(way, "mutex"))
      pthread_mutex_lock(&lock);
    else if (!strcmp(way, "pipe"))
      read(ends[0], &c, 1);
    turns(e, 6);
    pthread_join(thread, 0);
  }
  turns(e, 5);
  return 0;
}
