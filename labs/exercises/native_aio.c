// An echo server with the kernel's native AIO (io_submit(2)). The C library has no functions for
// it, so syscall(2) makes the calls.
//
//     cc -Wall -Wextra -pthread -o native_aio_server native_aio_server.c && ./native_aio_server 8080
//
// A read of a blocking socket without data sleeps in io_submit (fs/aio.c: aio_read). So the server
// submits polls (IOCB_CMD_POLL), which complete when a socket is ready, and then reads by recv. A
// poll completes once: each report needs a new poll. The thread sleeps in io_getevents and in no
// other call.
#define _GNU_SOURCE // accept4, syscall
#include <arpa/inet.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// A process may have 1,024 descriptors by default (RLIMIT_NOFILE). At that limit accept fails with
// EMFILE, the client stays in the accept queue, and the listener stays ready: the loop would spin.
// So the server closes connections beyond MOST at once.
enum { MOST = 1000, EVENTS = 64 };

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was read, and is not sent yet
    char data[16384];
};

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

// Asks once whether the descriptor is ready. The completion brings `c` back. The kernel copies the
// request, so the request may be on the stack.
static bool submit_poll(aio_context_t context, int fd, int events, struct connection *c)
{
    // GAP 1: Fill the request: a poll of the descriptor for these events, with `c` as its data. The
    //        stub submits a request of another kind (0 is IOCB_CMD_PREAD), which fails.
    // CHECKS: protocol
    struct iocb request = {
        .aio_lio_opcode = IOCB_CMD_POLL,
        .aio_fildes = (__u32)fd,
        .aio_buf = (__u64)events,
        .aio_data = (__u64)(uintptr_t)c,
    };
    // HINT: io_submit(2) names the members of struct iocb, and the values of aio_lio_opcode.
    // HINT: For IOCB_CMD_POLL aio_buf is not an address: it holds the events, POLLIN or POLLOUT
    //       (since Linux 4.18).
    // HINT: .aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = (__u32)fd, .aio_buf =
    //       (__u64)events
    // HINT: aio_data comes back in the completion: .aio_data = (__u64)(uintptr_t)c
    // STUB: struct iocb request = {.aio_fildes = (__u32)fd};
    // STUB: (void)events, (void)c;
    // END
    struct iocb *requests[] = {&request};
    return syscall(SYS_io_submit, context, 1L, requests) == 1;
}

static void finish(struct connection *c)
{
    // GAP 4: Close the connection that has ended, and free its memory.
    // CHECKS: half_close
    close(c->fd);
    free(c);
    // HINT: The kernel sends the server's FIN when the descriptor is closed. Until then the client
    //       waits.
    // HINT: No poll of the connection is under way now: the last one has completed. So its memory
    //       is no longer needed.
    // HINT: close(c->fd); free(c);
    // STUB: (void)c;
    // END
}

static void accept_client(aio_context_t context, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *c = fd >= 0 && fd < MOST ? calloc(1, sizeof *c) : NULL;
    if (c != NULL) {
        c->fd = fd;
        if (!submit_poll(context, fd, POLLIN, c))
            finish(c);
    } else if (fd >= 0) {
        close(fd);
    }
}

// Serves a connection whose poll has completed.
static void go_on(aio_context_t context, struct connection *c)
{
    bool goes_on = serve(c);
    // GAP 3: Submit the next poll of a connection that goes on: for room in the send buffer while
    //        data is unsent, else for data.
    // CHECKS: protocol, one_shot
    if (goes_on)
        goes_on = submit_poll(context, c->fd, c->begin < c->end ? POLLOUT : POLLIN, c);
    // HINT: A poll of native AIO completes once. Without a new poll, the kernel reports nothing
    //       more about this connection.
    // HINT: Which events? After a short send or EAGAIN, the client may have sent all of its data:
    //       POLLIN may never come again.
    // HINT: submit_poll(context, c->fd, c->begin < c->end ? POLLOUT : POLLIN, c), if `goes_on` is
    //       true. Its result replaces `goes_on`.
    // STUB: (void)context;
    // END
    if (!goes_on)
        finish(c);
}

static void serve_all(int listener)
{
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, (long)MOST, &context) < 0 ||
        !submit_poll(context, listener, POLLIN, NULL))
        die("native AIO");
    for (;;) {
        struct io_event events[EVENTS];
        // GAP 2: Sleep until a poll has completed, however long that takes. The stub returns at
        //        once.
        // CHECKS: waits, never-spins
        long number = syscall(SYS_io_getevents, context, 1L, (long)EVENTS, events, NULL);
        // HINT: The second argument is the least number of completions. With 0 the call never
        //       sleeps, and the loop takes a whole core.
        // HINT: Read io_getevents(2): what do min_nr and the time-out mean?
        // HINT: syscall(SYS_io_getevents, context, 1L, (long)EVENTS, events, NULL)
        // STUB: long number = syscall(SYS_io_getevents, context, 0L, (long)EVENTS, events, NULL);
        // END
        for (long i = 0; i < number; i++) { // after SIGCONT the result is -1 (EINTR)
            struct connection *c = (struct connection *)(uintptr_t)events[i].data;
            if (c != NULL) {
                go_on(context, c);
                continue;
            }
            accept_client(context, listener);
            if (!submit_poll(context, listener, POLLIN, NULL))
                die("io_submit");
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
