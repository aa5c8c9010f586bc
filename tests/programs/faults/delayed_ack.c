/* A client writes each request in two small parts and reads the answer. "wrong" leaves TCP as it is: the second part waits for the
 * acknowledgement of the first. "nodelay" sets TCP_NODELAY, "joined" sends both parts by one writev. */
#include "connection.h"
#include <netinet/tcp.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { REQUESTS = 14 };

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "wrong";
  struct sockaddr_in a;
  int listener = listening(&a), on = 1;
  char data[8];
  if (!fork()) {
    int s = connected(&a);
    close(listener);
    struct iovec parts[2] = {{"HEAD", 4}, {"BODY", 4}};
    if (!strcmp(way, "nodelay"))
      setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = 0; i < REQUESTS; i++) {
      if (!strcmp(way, "joined"))
        writev(s, parts, 2);
      else
        send(s, "HEAD", 4, 0), send(s, "BODY", 4, 0);
      recv(s, data, sizeof data, 0);
    }
    _exit(0);
  }
  int s = accept(listener, 0, 0);
  for (;;) {
    long got = 0, n = 0;
    while (got < 8 && (n = recv(s, data, 8 - got, 0)) > 0)
      got += n;
    if (n <= 0)
      break;
    send(s, "answer!!", 8, 0);
  }
  wait(0);
  return 0;
}
