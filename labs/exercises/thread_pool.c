// An echo server with a pool of four threads. One more thread accepts connections, and passes them
// to the pool through a queue (UNP 30.12).
//
//     cc -Wall -Wextra -pthread -o thread_pool_server thread_pool_server.c && ./thread_pool_server 8080
//
// The threads exist before the first client, so the server creates no thread for a client. A fifth
// client is accepted, and waits in the queue until one of the first four has ended.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 4, PLACES = 64 };

// A ring of accepted connections that no worker has taken yet. The lock guards the whole ring.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    int connections[PLACES];
    size_t first, number;
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .not_empty = PTHREAD_COND_INITIALIZER,
    .not_full = PTHREAD_COND_INITIALIZER,
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

static void put(int connection)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.number == PLACES)
        pthread_cond_wait(&queue.not_full, &queue.lock);
    queue.connections[(queue.first + queue.number++) % PLACES] = connection;
    // GAP 3: Wake one worker that waits in `take`.
    // CHECKS: protocol
    pthread_cond_signal(&queue.not_empty);
    // HINT: A worker that sleeps on a condition variable does not see the change of the queue by
    //       itself.
    // HINT: Read pthread_cond_signal(3), and UNP 7.5. Which of the two condition variables do the
    //       workers wait for?
    // HINT: pthread_cond_signal(&queue.not_empty);
    // END
    pthread_mutex_unlock(&queue.lock);
}

static int take(void)
{
    pthread_mutex_lock(&queue.lock);
    // GAP 2: Sleep while the queue is empty. The stub ends the worker instead.
    // CHECKS: protocol
    while (queue.number == 0)
        pthread_cond_wait(&queue.not_empty, &queue.lock);
    // HINT: pthread_cond_wait releases the lock, sleeps, and takes the lock again before it
    //       returns.
    // HINT: Another worker may have taken the connection by then, and a wake-up may have no cause
    //       (pthread_cond_wait(3)). So check the queue again after each wake-up: `while`, not `if`.
    // HINT: while (queue.number == 0) pthread_cond_wait(&queue.not_empty, &queue.lock);
    // STUB: if (queue.number == 0) {
    // STUB:     pthread_mutex_unlock(&queue.lock);
    // STUB:     pthread_exit(NULL);
    // STUB: }
    // END
    int connection = queue.connections[queue.first];
    queue.first = (queue.first + 1) % PLACES;
    queue.number--;
    pthread_cond_signal(&queue.not_full);
    pthread_mutex_unlock(&queue.lock);
    return connection;
}

// Sends all of the data. A blocking send sleeps until it has taken all of the data, unless a signal
// or an error ends it early.
static bool send_all(int connection, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(connection, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            return false; // the client has reset the connection
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

// A worker: serves one connection after the other, each until it ends.
static void *work(void *argument)
{
    for (;;) {
        int connection = take();
        char data[65536];
        ssize_t size;
        // GAP 4: Read what comes and send it back, until the client has ended the connection or
        //        reset it. The stub reads only once.
        // CHECKS: protocol, partial_messages
        while ((size = recv(connection, data, sizeof data, 0)) > 0)
            if (!send_all(connection, data, (size_t)size))
                break;
        // HINT: TCP is a stream: one recv may return a part of a message, or several messages. Only
        //       a result of 0 is the end.
        // HINT: recv returns 0 after the client's FIN, and -1 after an error such as ECONNRESET
        //       (recv(2); UNP 5.3, str_echo).
        // HINT: Repeat recv and send_all while the result of recv is greater than 0. Leave the loop
        //       if send_all returns false.
        // STUB: if ((size = recv(connection, data, sizeof data, 0)) > 0)
        // STUB:     send_all(connection, data, (size_t)size);
        // END
        close(connection);
    }
    return argument;
}

static void start_workers(void)
{
    // GAP 1: Create all workers of the pool. The stub creates one worker: all other clients wait
    //        for the first client.
    // CHECKS: ceiling, silent_client
    for (int i = 0; i < WORKERS; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, work, NULL);
        if (errno != 0)
            die("pthread_create");
    }
    // HINT: A pool of four threads serves four clients at the same time.
    // HINT: Read pthread_create(3), and UNP 30.11. The stub shows the call.
    // HINT: for (int i = 0; i < WORKERS; i++) with the lines of the stub.
    // STUB: pthread_t thread;
    // STUB: errno = pthread_create(&thread, NULL, work, NULL);
    // STUB: if (errno != 0)
    // STUB:     die("pthread_create");
    // END
}

static void serve(int listener)
{
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0) {
            put(connection);
        } else { // too many open files, or no memory
            perror("accept");
            sleep(1); // clients stay in the accept queue meanwhile
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    int listener = listen_on(count > 1 ? arguments[1] : getenv("PORT"));
    start_workers();
    serve(listener);
}
