/* waits COOKIE: blocks a child in each of many calls, and wakes it. Prints a line for each: "NAME: PID" of the child, or
 * "NAME: not here: REASON". Its files are in the current directory. */
#include "waits_files.h"
#include "waits_ipc.h"
#include "waits_sockets.h"
#include "waits_tasks.h"

#define RUN(list) for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) if (!only || !strcmp(only, list[i].name)) run(&list[i])

int main(int argc, char **argv) {
  const char *only = argc > 2 ? argv[1] : NULL;
  struct sigaction handled = {.sa_handler = on_signal};
  shared = mmap(0, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  sigaction(SIGUSR1, &handled, NULL);
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  follow_me(argv[argc - 1]);
  RUN(IPC);
  RUN(FILES);
  RUN(SOCKETS);
  RUN(TASKS);
  return 0;
}
