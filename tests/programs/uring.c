/* uring async|sqpoll COUNT COOKIE [stay]: COUNT receives through io_uring, which a thread of the kernel does for us; prints the
 * accounts of each such thread (tid, name, ns on the CPU, ns of run delay, voluntary switches) as /proc tells them.
 *
 * It says "refused" where io_uring is. With "stay" it waits for a byte before it ends.
 * async: IOSQE_ASYNC, the receive is given to an iou-wrk thread. sqpoll: an iou-sqp thread looks for requests by itself. */
#include "marker.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void accounts(void) {
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *one; (one = readdir(tasks));) {
    char path[300], name[32] = "", line[128];
    long long cpu = -1, delay = -1, voluntary = -1;
    FILE *f;
    snprintf(path, sizeof(path), "/proc/self/task/%s/comm", one->d_name);
    if (!(f = fopen(path, "r"))) continue;
    if (fscanf(f, "%31s", name) != 1) name[0] = 0;
    fclose(f);
    if (strncmp(name, "iou-", 4)) continue;
    snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", one->d_name);
    f = fopen(path, "r");
    if (fscanf(f, "%lld %lld", &cpu, &delay) != 2) cpu = -1;
    fclose(f);
    snprintf(path, sizeof(path), "/proc/self/task/%s/status", one->d_name);
    f = fopen(path, "r");
    while (fgets(line, sizeof(line), f)) sscanf(line, "voluntary_ctxt_switches: %lld", &voluntary);
    fclose(f);
    printf("%s %s %lld %lld %lld\n", one->d_name, name, cpu, delay, voluntary);
  }
  closedir(tasks);
}

int main(int argc, char **argv) {
  int polled = !strcmp(argv[1], "sqpoll"), ends[2];
  long count = atol(argv[2]);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(at);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&at, length) || listen(listener, 1) ||
      getsockname(listener, (struct sockaddr *)&at, &length))
    return 1;
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(ends[0], (struct sockaddr *)&at, length)) return 1;
  ends[1] = accept(listener, NULL, NULL);
  follow_me(argv[3]);
  struct io_uring_params p = {.flags = polled ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = 50};
  int ring = syscall(SYS_io_uring_setup, 4, &p);
  if (ring < 0) return puts("refused") < 0;
  char *sq = mmap(NULL, p.sq_off.array + 4 * p.sq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  char *cq = mmap(NULL, p.cq_off.cqes + 16 * p.cq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe *sqes = mmap(NULL, 64 * p.sq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  unsigned *tail = (unsigned *)(sq + p.sq_off.tail), *flags = (unsigned *)(sq + p.sq_off.flags);
  unsigned *head = (unsigned *)(cq + p.cq_off.head);
  char data[64] = "";
  for (long i = 0; i < count; i++) {
    unsigned index = *tail & (p.sq_entries - 1);
    sqes[index] = (struct io_uring_sqe){.opcode = IORING_OP_RECV, .fd = ends[1], .addr = (unsigned long)data, .len = 64,
                                        .flags = polled ? 0 : IOSQE_ASYNC};
    ((unsigned *)(sq + p.sq_off.array))[index] = index;
    if (send(ends[0], data, 64, 0) != 64) return 1;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_SEQ_CST);
    unsigned wake = __atomic_load_n(flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP ? IORING_ENTER_SQ_WAKEUP : 0;
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | wake, NULL, 0) < 0) return 1;
    if (((struct io_uring_cqe *)(cq + p.cq_off.cqes))[*head & (p.cq_entries - 1)].res != 64) return 1;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    if (i % 10 == 0) usleep(100000); /* long enough for the polling thread to go to sleep */
  }
  accounts();
  fflush(stdout);
  if (argc > 4 && read(0, data, 1) < 0) return 1;
  _exit(0);
}
