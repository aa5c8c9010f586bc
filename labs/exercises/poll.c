// An echo server with poll: one thread waits for all connections at once (UNP 6.10).
//
//     cc -Wall -Wextra -pthread -o poll_server poll_server.c && ./poll_server 8080
//
// Each call gets an array with a place for each descriptor. The server writes `events`: the events
// that it waits for. The kernel writes `revents`: the events that happened. The kernel does not
// change `events`, so the server passes the same array again. No call but poll may sleep.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// A process may have 1,024 descriptors by default (RLIMIT_NOFILE). At that limit accept fails with
// EMFILE, the client stays in the accept queue, and the listener stays readable: the loop would
// spin. So the server closes connections beyond MOST at once.
enum { MOST = 1000 };

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was read, and is not sent yet
    char data[16384];
};

static struct pollfd polled[MOST]; // polled[0] is the listener
static struct connection *connections[MOST]; // connections[i] belongs to polled[i]
static nfds_t number = 1; // how many places are in use

// A handler may call _exit (signal-safety(7)). The kernel then ends all threads of the process and
// closes its descriptors.
static void on_sigterm(int signo)
{
    (void)signo;
    _exit(EXIT_SUCCESS);
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

// A listener on 127.0.0.1. Without SO_REUSEADDR, connections in TIME_WAIT would keep a new server
// from the port for 60 s.
static int listen_on(const char *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    here.sin_port = htons((uint16_t)(port ? strtoul(port, NULL, 10) : 0));
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(listener, (struct sockaddr *)&here, size) < 0 || listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&here, &size) < 0)
        die("listen");
    printf("listening on port %d\n", ntohs(here.sin_port));
    fflush(stdout);
    return listener;
}

// Sends the unsent data. Without unsent data, reads once and sends what it read. Never sleeps.
// Returns false if the connection has ended.
static bool serve(struct connection *c)
{
    if (c->begin == c->end) {
        ssize_t size = recv(c->fd, c->data, sizeof c->data, 0);
        if (size <= 0)
            return size < 0 && errno == EAGAIN; // 0: the client has ended the connection (FIN)
        c->begin = 0;
        c->end = (size_t)size;
    }
    ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN; // else the client has reset the connection
    c->begin += (size_t)sent;
    return true;
}

static void accept_client(int listener)
{
    // GAP 2: Accept the connection so that no call on it can sleep. The stub accepts it, but leaves
    //        it blocking.
    // CHECKS: slow_reader, asleep
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    // HINT: In a blocking connection, send sleeps while the send buffer is full. No other client is
    //       served meanwhile.
    // HINT: A connection does not inherit O_NONBLOCK from its listener (accept(2), "Notes").
    //       accept4 has a flag for it.
    // HINT: int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    // STUB: int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    // END
    if (fd < 0)
        return;
    struct connection *c = number < MOST ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        close(fd);
        return;
    }
    c->fd = fd;
    connections[number] = c;
    polled[number] = (struct pollfd){.fd = fd, .events = POLLIN};
    number++;
}

// Closes a connection. The last one of the arrays takes its place.
static void drop(nfds_t place)
{
    // GAP 3: Close the connection, free its memory, and fill its place in both arrays with the last
    //        place in use.
    // CHECKS: half_close, asleep
    close(connections[place]->fd);
    free(connections[place]);
    number--;
    polled[place] = polled[number];
    connections[place] = connections[number];
    // HINT: A connection that has ended stays readable: each recv returns 0 at once. So poll never
    //       sleeps again.
    // HINT: For a descriptor that was closed, poll reports POLLNVAL at once (poll(2)). So it must
    //       leave the array as well.
    // HINT: close(connections[place]->fd); free(connections[place]); then number--, and copy
    //       polled[number] and connections[number] to `place`.
    // STUB: (void)place;
    // END
}

static void serve_all(int listener)
{
    polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        // GAP 1: Sleep until a descriptor of the array is ready, however long that takes. The stub
        //        returns at once.
        // CHECKS: asleep
        int ready = poll(polled, number, -1);
        // HINT: The last argument is the time-out in milliseconds. With 0, the loop polls without a
        //       pause and takes a whole core.
        // HINT: Read poll(2): which time-out means that the call waits without a limit?
        // HINT: int ready = poll(polled, number, -1);
        // STUB: int ready = poll(polled, number, 0);
        // END
        if (ready < 0)
            continue; // EINTR, after SIGCONT: `revents` has no result
        // From the end: drop fills a place with the last place, which was served already.
        for (nfds_t i = number - 1; i > 0; i--) {
            struct connection *c = connections[i];
            // GAP 5: Skip connections that are not ready. The stub also skips connections that wait
            //        for room, and connections for which poll reports POLLERR or POLLHUP.
            // CHECKS: slow_reader
            if (polled[i].revents == 0)
                continue;
            // HINT: Which bits can `revents` have when `events` was POLLOUT?
            // HINT: poll reports POLLERR and POLLHUP without being asked (poll(2)). A call on the
            //       connection then returns the error, and does not wait.
            // HINT: if (polled[i].revents == 0) continue;
            // STUB: if (!(polled[i].revents & POLLIN))
            // STUB:     continue;
            // END
            if (!serve(c)) {
                drop(i);
                continue;
            }
            // GAP 4: Wait for room in the send buffer while data is unsent, and for new data when
            //        all is sent. The stub waits for nothing while data is unsent.
            // CHECKS: slow_reader
            polled[i].events = c->begin < c->end ? POLLOUT : POLLIN;
            // HINT: If the send buffer is full, send takes a part, or nothing (EAGAIN). Which event
            //       reports that the send buffer has room again?
            // HINT: POLLOUT reports room. A send buffer nearly always has room, so poll would not
            //       sleep if `events` always had POLLOUT (UNP 6.10).
            // HINT: polled[i].events = c->begin < c->end ? POLLOUT : POLLIN;
            // STUB: polled[i].events = c->begin < c->end ? 0 : POLLIN;
            // END
        }
        if (polled[0].revents != 0)
            accept_client(listener);
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
