/* kinds COOKIE: 20 times, a file, a UDP, a TCP and a Unix socket and a pipe, one after the other at the same number: a read or a
 * receive without data, then a close. The kernel gives each the memory of the one before. */
#include "marker.h"
#include <fcntl.h>
#include <sys/socket.h>

static void use(int fd) {
  char data[16];
  if (recv(fd, data, sizeof(data), MSG_DONTWAIT) >= 0) _exit(1);
  close(fd);
}

int main(int argc, char **argv) {
  char data[16];
  follow_me(argv[1]);
  for (int i = 0; i < 20; i++) {
    int pipes[2], file = open("/proc/self/stat", O_RDONLY);
    if (read(file, data, sizeof(data)) <= 0) return 1;
    close(file);
    use(socket(AF_INET, SOCK_DGRAM, 0));
    use(socket(AF_INET, SOCK_STREAM, 0));
    use(socket(AF_UNIX, SOCK_DGRAM, 0));
    if (pipe2(pipes, O_NONBLOCK) || read(pipes[0], data, sizeof(data)) >= 0) return 1;
    close(pipes[0]);
    close(pipes[1]);
  }
  return 0;
}
