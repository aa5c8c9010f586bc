/* How workers end: by SIGPIPE at the second write to a pipe without reader, by abort(), by a fault, by their parent's SIGTERM, and
 * by themselves ("right": SIGPIPE is ignored). */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "right";
  for (int i = 0; i < 3; i++) {
    int ends[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    close(ends[1]);
    pid_t child = fork();
    if (!child) {
      if (!strcmp(way, "right"))
        signal(SIGPIPE, SIG_IGN);
      if (!strcmp(way, "abort"))
        abort();
      if (!strcmp(way, "fault"))
        *(volatile int *)8 = 1;
      if (!strcmp(way, "term"))
        for (;;)
          pause();
      send(ends[0], "data", 4, 0);
      _exit(0);
    }
    if (!strcmp(way, "term"))
      kill(child, SIGTERM);
    waitpid(child, 0, 0);
    close(ends[0]);
  }
  return 0;
}
