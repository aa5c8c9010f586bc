/* Waits on sockets: TCP, UDP, MPTCP, unix and vsock. */
#pragma once
#include "waits.h"
#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_in here;
static struct sockaddr_un named;
static struct sockaddr_vm vm;

static int listener(int protocol) {
  socklen_t size = sizeof(here);
  here = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  fd = socket(AF_INET, SOCK_STREAM, protocol);
  return fd < 0 || bind(fd, (void *)&here, size) || listen(fd, 5) || getsockname(fd, (void *)&here, &size);
}
static int connected(int protocol) {  /* p[0] to p[1] */
  if (listener(protocol)) return 1;
  p[0] = socket(AF_INET, SOCK_STREAM, protocol);
  if (connect(p[0], (void *)&here, sizeof(here))) return 1;
  p[1] = accept(fd, NULL, NULL);
  close(fd);
  return p[1] < 0;
}
static int prepare_tcp_listener(void) { return listener(0); }
static int prepare_tcp(void) { return connected(0); }
static int prepare_full_tcp(void) { if (connected(0)) return 1; fill(p[1]); return 0; }
static int prepare_mptcp_listener(void) { return listener(262); }
static int prepare_mptcp(void) { return connected(262); }
static int prepare_full_mptcp(void) { if (connected(262)) return 1; fill(p[1]); return 0; }
static void block_accept(void) { arm(); check(accept(fd, NULL, NULL) >= 0, "accept"); }
static void wake_accept(pid_t child) { (void)child; int s = socket(AF_INET, SOCK_STREAM, 0); connect(s, (void *)&here, sizeof(here)); close(fd); close(s); }
static void block_recv(void) { arm(); check(recv(p[0], big, 1, 0) == 1, "recv"); }
static void wake_recv(pid_t child) { (void)child; check(send(p[1], "x", 1, 0) == 1, "send"); }
static void block_recv_limit(void) {
  struct timeval limit = {0, 20000};
  setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  arm();
  check(recv(p[0], big, 1, 0) < 0, "recv");
}
static void block_send(void) { arm(); check(send(p[1], big, sizeof(big), 0) > 0, "send"); }
static void wake_send(pid_t child) {
  siginfo_t i = {};
  fcntl(p[0], F_SETFL, O_NONBLOCK);
  while (!i.si_pid) {
    if (recv(p[0], big, sizeof(big), 0) <= 0) sched_yield();
    waitid(P_PID, child, &i, WNOWAIT | WEXITED | WNOHANG);
  }
}
static void block_sendfile(void) {
  int file = open("/proc/self/exe", O_RDONLY);
  off_t at = 0;
  arm();
  check(sendfile(p[1], file, &at, 4096) > 0, "sendfile");
}
static int prepare_linger(void) { shared->word = 0; return pipe(q); }
static void block_close(void) {  /* the other end is a child's, and takes nothing before the parent writes */
  struct linger limit = {1, 5};
  check(!connected(0), "connect");
  fill(p[1]);
  if (!fork()) {
    close(p[1]);
    shared->word = 1;
    check(read(q[0], big, 1) == 1, "read");
    while (read(p[0], big, sizeof(big)) > 0) {}
    _exit(0);
  }
  setsockopt(p[1], SOL_SOCKET, SO_LINGER, &limit, sizeof(limit));
  while (!shared->word) sched_yield();
  arm();
  close(p[1]);
}
static void wake_close(pid_t child) { (void)child; write_x(q[1]); }
static void block_connect(void) {  /* the address answers nothing: the queue of the listener is full */
  int s = socket(AF_INET, SOCK_STREAM, 0);
  arm();
  connect(s, (void *)&here, sizeof(here));
}
static int prepare_full_listener(void) {
  if (listener(0) || listen(fd, 0)) return 1;
  for (int i = 0; i < 2; i++) {
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(s, (void *)&here, sizeof(here));
  }
  return 0;
}

static int prepare_udp(void) {
  socklen_t size = sizeof(here);
  here = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  p[0] = socket(AF_INET, SOCK_DGRAM, 0), p[1] = socket(AF_INET, SOCK_DGRAM, 0);
  return bind(p[0], (void *)&here, size) || getsockname(p[0], (void *)&here, &size) || connect(p[1], (void *)&here, size);
}

static int prepare_stream(void) { return socketpair(AF_UNIX, SOCK_STREAM, 0, p); }
static int prepare_full_stream(void) { if (prepare_stream()) return 1; fill(p[1]); return 0; }
static int prepare_datagram(void) { return socketpair(AF_UNIX, SOCK_DGRAM, 0, p); }
static int prepare_full_datagram(void) {
  if (prepare_datagram()) return 1;
  while (send(p[1], big, 100, MSG_DONTWAIT) > 0) {}
  return 0;
}
static int prepare_sequence(void) { return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p); }
static int prepare_full_sequence(void) { if (prepare_sequence()) return 1; while (send(p[1], big, 100, MSG_DONTWAIT) > 0) {} return 0; }
static int prepare_full_peer(void) {  /* as many senders of /dev/log find it: many small datagrams fill the queue of the receiver */
  socklen_t size = sizeof(sa_family_t);
  p[0] = socket(AF_UNIX, SOCK_DGRAM, 0), p[1] = socket(AF_UNIX, SOCK_DGRAM, 0);
  named = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (bind(p[0], (void *)&named, size)) return 1;  /* autobind */
  size = sizeof(named);
  if (getsockname(p[0], (void *)&named, &size) || connect(p[1], (void *)&named, size)) return 1;
  while (send(p[1], "x", 1, MSG_DONTWAIT) > 0) {}
  return 0;
}
static void block_small_send(void) { arm(); check(send(p[1], "x", 1, 0) == 1, "send"); }
static void block_unix_send(void) { arm(); check(send(p[1], big, 100, 0) == 100, "send"); }

static int prepare_unix_listener(void) {
  socklen_t size = sizeof(sa_family_t);
  named = (struct sockaddr_un){.sun_family = AF_UNIX};
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (void *)&named, size) || listen(fd, 0)) return 1;
  size = sizeof(named);
  return getsockname(fd, (void *)&named, &size);
}
static void connect_unix(void) {
  socklen_t size = sizeof(named);
  getsockname(fd, (void *)&named, &size);
  connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&named, size);
}
static int prepare_full_unix_listener(void) { if (prepare_unix_listener()) return 1; connect_unix(); return 0; }
static void block_unix_connect(void) { arm(); connect_unix(); }
static void wake_unix_accept(pid_t child) { (void)child; connect_unix(); close(fd); }
static void wake_unix_connect(pid_t child) { (void)child; check(accept(fd, NULL, NULL) >= 0, "accept"); }

static int prepare_vsock_listener(void) {
  socklen_t size = sizeof(vm);
  vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = VMADDR_PORT_ANY};
  fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  return fd < 0 || bind(fd, (void *)&vm, size) || listen(fd, 5) || getsockname(fd, (void *)&vm, &size);
}
static void wake_vsock_accept(pid_t child) { (void)child; int s = socket(AF_VSOCK, SOCK_STREAM, 0); check(!connect(s, (void *)&vm, sizeof(vm)), "connect"); }
static int prepare_vsock(void) {
  if (prepare_vsock_listener()) return 1;
  p[1] = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (connect(p[1], (void *)&vm, sizeof(vm))) return 1;
  p[0] = accept(fd, NULL, NULL);
  return p[0] < 0;
}

static const struct wait SOCKETS[] = {
  {"tcp accept", prepare_tcp_listener, block_accept, wake_accept},
  {"tcp connect", prepare_full_listener, block_connect, interrupt},
  {"tcp recv", prepare_tcp, block_recv, wake_recv},
  {"tcp recv limit", prepare_tcp, block_recv_limit, 0},
  {"tcp send", prepare_full_tcp, block_send, wake_send},
  {"sendfile", prepare_full_tcp, block_sendfile, wake_send},
  {"close with linger", prepare_linger, block_close, wake_close},
  {"udp recv", prepare_udp, block_recv, wake_recv},
  {"mptcp accept", prepare_mptcp_listener, block_accept, wake_accept},
  {"mptcp recv", prepare_mptcp, block_recv, wake_recv},
  {"mptcp send", prepare_full_mptcp, block_send, wake_send},
  {"unix accept", prepare_unix_listener, block_accept, wake_unix_accept},
  {"unix connect", prepare_full_unix_listener, block_unix_connect, wake_unix_connect},
  {"unix stream recv", prepare_stream, block_recv, wake_recv},
  {"unix stream send", prepare_full_stream, block_send, wake_send},
  {"unix datagram recv", prepare_datagram, block_recv, wake_recv},
  {"unix datagram send", prepare_full_datagram, block_unix_send, wake_send},
  {"unix peer full", prepare_full_peer, block_small_send, wake_send},
  {"unix sequence recv", prepare_sequence, block_recv, wake_recv},
  {"unix sequence send", prepare_full_sequence, block_unix_send, wake_send},
  {"vsock accept", prepare_vsock_listener, block_accept, wake_vsock_accept},
  {"vsock recv", prepare_vsock, block_recv, wake_recv},
};
