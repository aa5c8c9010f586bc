// An echo server with io_uring: the process puts requests into one ring, and the kernel puts
// completions into another ring (io_uring(7)). The memory of the rings is shared; one system call
// submits requests and waits for completions.
//
//     cc -Wall -Wextra -pthread -o io_uring_server io_uring_server.c && ./io_uring_server 8080
//
// A receive is requested before there is data. It completes when the data is in the process's
// buffer. The C library has no functions for io_uring, so syscall(2) makes the calls (the library
// liburing wraps these calls).
#define _GNU_SOURCE // syscall
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Each connection has one request under way, and the listener one. So MOST + 1 requests fit into a
// ring of ENTRIES, and the completions into the other ring, which is twice as large: neither ring
// can be full.
enum { MOST = 1000, ENTRIES = 1024 };

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was received, and is not sent yet
    char data[16384];
};

static struct {
    int fd;
    unsigned mask, tail, submitted; // counts of requests: in the ring; taken by the kernel
    _Atomic unsigned *shared_tail;
    struct io_uring_sqe *requests;
    unsigned completion_mask;
    _Atomic unsigned *completion_head, *completion_tail;
    struct io_uring_cqe *completions;
} ring;

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

static void set_up(void)
{
    struct io_uring_params p = {0};
    ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring.fd < 0)
        die("io_uring_setup");
    // Since Linux 5.4 one mapping has both rings.
    size_t size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    size_t other = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    size = size > other ? size : other;
    char *rings = mmap(NULL, size, protection, flags, ring.fd, IORING_OFF_SQ_RING);
    size = p.sq_entries * sizeof *ring.requests;
    ring.requests = mmap(NULL, size, protection, flags, ring.fd, IORING_OFF_SQES);
    if (rings == MAP_FAILED || ring.requests == MAP_FAILED)
        die("mmap");
    ring.mask = *(unsigned *)(rings + p.sq_off.ring_mask);
    ring.shared_tail = (_Atomic unsigned *)(rings + p.sq_off.tail);
    ring.completion_mask = *(unsigned *)(rings + p.cq_off.ring_mask);
    ring.completion_head = (_Atomic unsigned *)(rings + p.cq_off.head);
    ring.completion_tail = (_Atomic unsigned *)(rings + p.cq_off.tail);
    ring.completions = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
    unsigned *places = (unsigned *)(rings + p.sq_off.array); // place i has request i
    for (unsigned i = 0; i < p.sq_entries; i++)
        places[i] = i;
}

// Puts a request into the ring. The kernel takes it at the next io_uring_enter. The completion
// brings `c` back; the memory at `data` belongs to the kernel until then.
static void request(int operation, int fd, void *data, size_t size, struct connection *c)
{
    struct io_uring_sqe *entry = &ring.requests[ring.tail & ring.mask];
    *entry = (struct io_uring_sqe){
        .opcode = (uint8_t)operation,
        .fd = fd,
        .addr = (uint64_t)(uintptr_t)data,
        .len = (uint32_t)size,
        .user_data = (uint64_t)(uintptr_t)c,
    };
    if (operation == IORING_OP_SEND)
        entry->msg_flags = MSG_NOSIGNAL;
    ring.tail++;
    // The kernel must see the entry before it sees the tail that announces it.
    atomic_store_explicit(ring.shared_tail, ring.tail, memory_order_release);
}

// Requests what comes next: to send what is unsent, or else to receive.
static void request_next(struct connection *c)
{
    if (c->begin < c->end)
        request(IORING_OP_SEND, c->fd, c->data + c->begin, c->end - c->begin, c);
    else
        request(IORING_OP_RECV, c->fd, c->data, sizeof c->data, c);
}

// A request of the connection has completed. `result` is what send or recv would have returned, or
// a negative errno.
static void go_on(struct connection *c, int result)
{
    if (result <= 0) {
        // GAP 4: Close the connection that has ended or is broken, and free its memory.
        // CHECKS: half_close
        close(c->fd);
        free(c);
        // HINT: The kernel sends the server's FIN when the descriptor is closed. Until then the
        //       client waits.
        // HINT: No request of the connection is under way now, so the kernel does not use the
        //       buffer.
        // HINT: close(c->fd); free(c);
        // END
        return;
    }
    // GAP 3: Note what the request has done: after a receive, all data is unsent; after a send,
    //        `begin` moves by `result`. The stub assumes that each send took all data.
    // CHECKS: slow_reader
    if (c->begin < c->end) {
        c->begin += (size_t)result;
    } else {
        c->begin = 0;
        c->end = (size_t)result;
    }
    // HINT: Like send(2), a request to send may take a part of the data: what fits into the send
    //       buffer.
    // HINT: The result of a completion says how much it was (io_uring_enter(2), IORING_OP_SEND).
    //       `request_next` sends the rest.
    // HINT: Data was unsent if c->begin < c->end: then this was a send, and c->begin += result.
    // STUB: if (c->begin < c->end) {
    // STUB:     c->begin = c->end;
    // STUB: } else {
    // STUB:     c->begin = 0;
    // STUB:     c->end = (size_t)result;
    // STUB: }
    // END
    request_next(c);
}

// The request for a connection has completed: `fd` is the connection, or a negative errno.
static void accepted(int listener, int fd)
{
    // GAP 2: Request the next connection: each request accepts one connection.
    // CHECKS: protocol
    request(IORING_OP_ACCEPT, listener, NULL, 0, NULL);
    // HINT: Without a request under way, the kernel does not accept. Clients stay in the queue of
    //       the listener.
    // HINT: Read io_uring_enter(2), IORING_OP_ACCEPT. `main` makes the first request.
    // HINT: request(IORING_OP_ACCEPT, listener, NULL, 0, NULL);
    // STUB: (void)listener;
    // END
    struct connection *c = fd >= 0 && fd < MOST ? calloc(1, sizeof *c) : NULL;
    if (c != NULL) {
        c->fd = fd;
        request_next(c);
    } else if (fd >= 0) {
        close(fd);
    }
}

// Submits the requests, sleeps until one has completed, and handles all completions.
static void wait_and_handle(int listener)
{
    unsigned new = ring.tail - ring.submitted;
    // GAP 1: Sleep until at least one request has completed, however long that takes. The stub
    //        submits, and returns at once.
    // CHECKS: completion, never-spins
    long taken = syscall(SYS_io_uring_enter, ring.fd, new, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    // HINT: One call can submit and wait. With 0 as its third argument it does not sleep, and the
    //       loop takes a whole core.
    // HINT: Read io_uring_enter(2): to_submit, min_complete, IORING_ENTER_GETEVENTS.
    // HINT: syscall(SYS_io_uring_enter, ring.fd, ring.tail - ring.submitted, 1,
    //       IORING_ENTER_GETEVENTS, NULL, 0)
    // STUB: long taken = syscall(SYS_io_uring_enter, ring.fd, new, 0, 0, NULL, 0);
    // END
    if (taken < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY)
        die("io_uring_enter");
    ring.submitted += taken > 0 ? (unsigned)taken : 0;
    unsigned head = atomic_load_explicit(ring.completion_head, memory_order_relaxed);
    // Read the completions after the tail that announces them, and give their places back after the
    // last read.
    unsigned tail = atomic_load_explicit(ring.completion_tail, memory_order_acquire);
    for (; head != tail; head++) { // both count modulo 2^32
        struct io_uring_cqe *done = &ring.completions[head & ring.completion_mask];
        if (done->user_data == 0)
            accepted(listener, done->res);
        else
            go_on((struct connection *)(uintptr_t)done->user_data, done->res);
    }
    atomic_store_explicit(ring.completion_head, head, memory_order_release);
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    int listener = listen_on(count > 1 ? arguments[1] : getenv("PORT"));
    set_up();
    request(IORING_OP_ACCEPT, listener, NULL, 0, NULL);
    for (;;)
        wait_and_handle(listener);
}
