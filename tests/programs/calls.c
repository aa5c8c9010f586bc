/* calls: a fixed number of fixed system calls in a process, a thread, a child and a program that the child executes. */
#include "marker.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void *in_thread(void *unused) {
  for (int i = 0; i < 101; i++) syscall(SYS_getpid);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "again")) {
    for (int i = 0; i < 23; i++) syscall(SYS_getppid);
    return 0;
  }
  char c;
  int ends[2], zero = open("/dev/zero", O_RDONLY);
  if (pipe2(ends, O_NONBLOCK)) return 1;
  for (int i = 0; i < 997; i++)
    if (read(ends[0], &c, 1) != -1 || errno != EAGAIN) return 1;
  for (int i = 0; i < 211; i++)
    if (read(zero, &c, 1) != 1) return 1;
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  pid_t child = fork();
  if (!child) {
    for (int i = 0; i < 53; i++) syscall(SYS_gettid);
    execl(argv[0], argv[0], "again", NULL);
    _exit(1);
  }
  waitpid(child, NULL, 0);
  return 0;
}
