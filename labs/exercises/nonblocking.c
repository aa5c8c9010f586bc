// An echo server with non-blocking I/O: the thread never sleeps, and polls every socket in turn
// (UNP 6.2, "Nonblocking I/O Model").
//
//     cc -Wall -Wextra -pthread -o nonblocking_server nonblocking_server.c && ./nonblocking_server 8080
//
// Each call returns at once: with a result, or with EAGAIN if it would have to wait. Nearly all
// calls return EAGAIN, and the thread takes a whole core. That is the price of this model; select,
// poll and epoll exist because of it.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1000 }; // connections; the server closes any further connection at once

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was read, and is not sent yet
    char data[16384];
};

static struct connection *connections[MOST];
static size_t number; // how many connections are open

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
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
        // GAP 3: Tell the two results apart: the connection has ended or is broken (return false),
        //        or it has no data now (return true). The stub treats both as the end.
        // CHECKS: protocol
        if (size <= 0)
            return size < 0 && errno == EAGAIN;
        // HINT: recv returns 0 for the end of the connection. What does it return, and what is in
        //       errno, if there is no data?
        // HINT: Read recv(2), "Errors": EAGAIN. In Linux EWOULDBLOCK is the same number (UNP 16.1).
        // HINT: if (size <= 0) return size < 0 && errno == EAGAIN;
        // STUB: if (size <= 0)
        // STUB:     return false;
        // END
        c->begin = 0;
        c->end = (size_t)size;
    }
    ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN; // else the client has reset the connection
    // GAP 4: Keep what send did not take: move `begin` by what it took. The stub drops the rest.
    // CHECKS: slow_reader
    c->begin += (size_t)sent;
    // HINT: A non-blocking send takes what fits into the send buffer. Its result says how much that
    //       was.
    // HINT: Read send(2) and UNP 16.2. The next call of `serve` sends data[begin] to data[end - 1].
    // HINT: c->begin += (size_t)sent;
    // STUB: c->begin = c->end;
    // END
    return true;
}

static void accept_client(int listener)
{
    // GAP 2: Accept a connection, if one waits, so that no call on it can sleep. The stub leaves
    //        the connection blocking.
    // CHECKS: never_asleep, silent_client
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    // HINT: recv of a blocking connection sleeps until this client sends. All other clients wait
    //       meanwhile.
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
    connections[number++] = c;
}

static void serve_all(int listener)
{
    // GAP 1: Make the listener non-blocking: without a client in its queue, accept must return
    //        EAGAIN and not sleep.
    // CHECKS: never_asleep, protocol
    if (fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) < 0)
        die("fcntl");
    // HINT: While the thread sleeps in accept, it serves no connection.
    // HINT: fcntl(2) has F_GETFL, which returns the flags of a descriptor, and F_SETFL, which sets
    //       them (UNP 7.11).
    // HINT: fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK)
    // END
    for (;;) {
        accept_client(listener);
        // From the end: the last connection, which was served already, takes the place of a
        // connection that has ended.
        for (size_t i = number; i-- > 0;) {
            if (serve(connections[i]))
                continue;
            // GAP 5: Close the connection that has ended, free its memory, and put the last
            //        connection into its place.
            // CHECKS: half_close
            close(connections[i]->fd);
            free(connections[i]);
            connections[i] = connections[--number];
            // HINT: The kernel sends the server's FIN when the descriptor is closed. Until then the
            //       client waits.
            // HINT: Without close(2), the server also runs out of descriptors after some 1,000
            //       clients (RLIMIT_NOFILE).
            // HINT: close(connections[i]->fd); free(connections[i]); connections[i] =
            //       connections[--number];
            // END
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
