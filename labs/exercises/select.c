// An echo server with select: one thread waits for all connections at once, and names all of them
// in every call (UNP 6.3).
//
//     cc -Wall -Wextra -pthread -o select_server select_server.c && ./select_server 8080
//
// select overwrites the sets with its result: only the ready descriptors are left in them. So the
// server fills the sets anew before every call. No call but select may sleep.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

// An fd_set has FD_SETSIZE bits (1,024). FD_SET of a greater number writes beyond it (select(2)),
// so the server closes connections from MOST on at once. With fewer than 1,024 descriptors accept
// does not fail with EMFILE either.
enum { MOST = 1000 };

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was read, and is not sent yet
    char data[16384];
};

static struct connection *connections[MOST]; // by descriptor

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
    struct connection *c = fd < MOST ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        close(fd);
        return;
    }
    c->fd = fd;
    connections[fd] = c;
}

// Fills the sets: the listener and the connections. Returns the highest descriptor.
static int fill(int listener, fd_set *readable, fd_set *writable)
{
    int highest = listener;
    FD_ZERO(readable);
    FD_ZERO(writable);
    FD_SET(listener, readable);
    for (int fd = 0; fd < MOST; fd++) {
        if (connections[fd] == NULL)
            continue;
        highest = fd > highest ? fd : highest;
        bool unsent = connections[fd]->begin < connections[fd]->end;
        // GAP 4: Put the connection into one of the sets: into `writable` while it has unsent data,
        //        else into `readable`. The stub waits for nothing while data is unsent.
        // CHECKS: slow_reader
        FD_SET(fd, unsent ? writable : readable);
        // HINT: If the send buffer is full, send takes a part, or nothing (EAGAIN). Which event
        //       reports that the send buffer has room again?
        // HINT: A connection counts as writable when its send buffer has room (UNP 6.3). That is
        //       nearly always so: in `writable` without unsent data, it keeps select from sleeping.
        // HINT: FD_SET(fd, unsent ? writable : readable);
        // STUB: if (!unsent)
        // STUB:     FD_SET(fd, readable);
        // END
    }
    return highest;
}

static void serve_all(int listener)
{
    for (;;) {
        fd_set readable, writable;
        int highest = fill(listener, &readable, &writable);
        // GAP 1: Sleep until a descriptor of the sets is ready, however long that takes. With the
        //        stub, select does not check the highest descriptor.
        // CHECKS: protocol
        int ready = select(highest + 1, &readable, &writable, NULL, NULL);
        // HINT: The kernel checks the descriptors from 0 to nfds - 1 (fs/select.c: do_select).
        // HINT: Read select(2), nfds: "the highest-numbered file descriptor ... plus 1". With NULL
        //       as the time-out, select waits without a limit.
        // HINT: int ready = select(highest + 1, &readable, &writable, NULL, NULL);
        // STUB: int ready = select(highest, &readable, &writable, NULL, NULL);
        // END
        if (ready < 0)
            continue; // EINTR, after SIGCONT: the sets have no result
        if (FD_ISSET(listener, &readable))
            accept_client(listener);
        for (int fd = 0; fd <= highest; fd++) {
            struct connection *c = connections[fd];
            // GAP 3: Skip a descriptor without a connection, and a connection that is not ready:
            //        select left it in none of the sets. The stub also skips connections with room
            //        in the send buffer.
            // CHECKS: slow_reader
            if (c == NULL || !(FD_ISSET(fd, &readable) || FD_ISSET(fd, &writable)))
                continue;
            // HINT: select returns how many descriptors are ready. The sets say which ones.
            // HINT: FD_ISSET tells whether a descriptor is still in a set (select(2); UNP 6.3). A
            //       connection was put into one of two sets.
            // HINT: if (c == NULL || !(FD_ISSET(fd, &readable) || FD_ISSET(fd, &writable)))
            //       continue;
            // STUB: if (c == NULL || !FD_ISSET(fd, &readable))
            // STUB:     continue;
            // END
            if (!serve(c)) {
                // GAP 5: Close the connection that has ended, take it out of `connections`, and
                //        free its memory.
                // CHECKS: half_close, asleep
                connections[fd] = NULL;
                close(fd);
                free(c);
                // HINT: A connection that has ended stays readable: each recv returns 0 at once. So
                //       select never sleeps again.
                // HINT: After close, select refuses the descriptor's number with EBADF. So it must
                //       leave the sets as well.
                // HINT: connections[fd] = NULL; close(fd); free(c);
                // END
            }
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
