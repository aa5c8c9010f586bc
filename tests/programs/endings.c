/* endings COOKIE: children that end in each way; prints what wait4 says of each: {"PID": [status, signal]}. */
#include "asleep.h"
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void *leaves(void *unused) { return unused; }

static void ends_with_3(void) { _exit(3); }
static void ends_with_0(void) { _exit(0); }
static void last_thread(void) {  /* the first thread exits alone; the process ends with its second thread */
  pthread_t thread;
  if (pthread_create(&thread, NULL, leaves, NULL)) abort();
  pthread_join(thread, NULL);
  pthread_exit(NULL);
}
static void broken_pipe(void) {
  int s[2];
  signal(SIGPIPE, SIG_DFL);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, s)) abort();
  close(s[1]);
  _exit(write(s[0], "x", 1) != 1);
}
static void aborts(void) { abort(); }
static void waits_to_be_killed(void) { pause(); }

int main(int argc, char **argv) {
  void (*lives[])(void) = {ends_with_3, ends_with_0, last_thread, broken_pipe, aborts, waits_to_be_killed};
  follow_me(argv[argc - 1]);
  printf("{");
  for (unsigned i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) lives[i]();
    if (lives[i] == waits_to_be_killed) {
      until_asleep(pid, pid);
      kill(pid, SIGKILL);
    }
    waitpid(pid, &status, 0);
    printf("%s\"%d\": [%d, %d]", i ? ", " : "", pid, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  }
  printf("}\n");
  return 0;
}
