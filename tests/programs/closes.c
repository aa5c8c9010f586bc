/* closes COOKIE: three TCP connections, each with 64 bytes and its end before anybody reads: looked at first (MSG_PEEK), then
 * read to the end, in one thread. */
#include "marker.h"
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  char data[64] = "x";
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, length) || listen(listener, 5)) return 1;
  if (getsockname(listener, (void *)&address, &length)) return 1;
  follow_me(argv[1]);
  for (int i = 0; i < 3; i++) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (void *)&address, length)) return 1;
    int server = accept(listener, NULL, NULL);
    if (send(client, data, sizeof(data), 0) != 64) return 1;
    close(client);
    struct pollfd ended = {.fd = server, .events = POLLRDHUP};
    if (poll(&ended, 1, -1) != 1) return 1;
    if (recv(server, data, sizeof(data), MSG_PEEK) != 64) return 1;
    if (recv(server, data, sizeof(data), 0) != 64) return 1;
    if (recv(server, data, sizeof(data), 0) != 0) return 1;
    close(server);
  }
  return 0;
}
