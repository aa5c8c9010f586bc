// An echo server with blocking I/O: one thread serves one connection at a time (UNP 6.2, "Blocking
// I/O Model").
//
//     cc -Wall -Wextra -pthread -o blocking_server blocking_server.c && ./blocking_server 8080
//
// The thread sleeps in accept until a client connects, in recv until data arrives, and in send
// until the send buffer has room. While it sleeps for one client, it serves no other client.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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

// Sends all of the data. A blocking send sleeps until it has taken all of the data, unless a signal
// or an error ends it early.
static bool send_all(int connection, const char *data, size_t size)
{
    while (size > 0) {
        // GAP 3: Send the data. If the client has reset the connection, the kernel must not send
        //        SIGPIPE to the server: the default action of SIGPIPE ends the process.
        // CHECKS: protocol
        ssize_t sent = send(connection, data, size, MSG_NOSIGNAL);
        // HINT: The stub claims that all data was sent, and sends nothing.
        // HINT: Read send(2): the return value, the error EPIPE, and the flag that keeps SIGPIPE
        //       away. UNP 5.13 shows a server that SIGPIPE ends.
        // HINT: ssize_t sent = send(connection, data, size, MSG_NOSIGNAL);
        // STUB: ssize_t sent = (ssize_t)size;
        // STUB: (void)connection;
        // END
        if (sent < 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

// Echoes one connection until it ends.
static void talk(int connection)
{
    char data[65536];
    ssize_t size;
    // GAP 2: Read what comes and send it back, until the client has ended the connection or reset
    //        it. The stub reads only once.
    // CHECKS: protocol, partial_messages
    while ((size = recv(connection, data, sizeof data, 0)) > 0)
        if (!send_all(connection, data, (size_t)size))
            break;
    // HINT: TCP is a stream: one recv may return a part of a message, or several messages. Only a
    //       result of 0 is the end.
    // HINT: recv returns 0 after the client's FIN, and -1 after an error such as ECONNRESET
    //       (recv(2); UNP 5.3, str_echo).
    // HINT: Repeat recv and send_all while the result of recv is greater than 0. Leave the loop if
    //       send_all returns false.
    // STUB: if ((size = recv(connection, data, sizeof data, 0)) > 0)
    // STUB:     send_all(connection, data, (size_t)size);
    // END
}

static void serve(int listener)
{
    for (;;) {
        // GAP 1: Sleep until a client connects, and take its connection.
        // CHECKS: protocol
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        // HINT: The kernel makes the connections by itself, and puts them into the accept queue of
        //       the listener.
        // HINT: accept(2) takes the first connection out of the queue, and sleeps while the queue
        //       is empty (UNP 4.6).
        // HINT: int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        // STUB: int connection = -1;
        // STUB: (void)listener;
        // END
        if (connection < 0) { // too many open files, or no memory
            perror("accept");
            sleep(1); // clients stay in the accept queue meanwhile
            continue;
        }
        talk(connection);
        // GAP 4: Close the connection. The client then sees that the server has ended it, too.
        // CHECKS: half_close
        close(connection);
        // HINT: The kernel sends a FIN when the last descriptor of the connection is closed.
        // HINT: Read close(2), and UNP 4.9. Without it, the server also runs out of descriptors
        //       after some 1,000 clients.
        // HINT: close(connection);
        // END
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
