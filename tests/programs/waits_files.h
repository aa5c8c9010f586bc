/* Waits on pipes, FIFOs, terminals, disks, pages and the kernel's descriptors (eventfd, timerfd, inotify ...). */
#pragma once
#include "waits.h"
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>

/* ---- pipes and FIFOs ---- */

static int prepare_pipe(void) { return pipe(p); }
static int prepare_full_pipe(void) { if (pipe(p)) return 1; fill(p[1]); return 0; }
static int prepare_pipes(void) { return pipe(p) || pipe(q); }
static int prepare_full_second(void) { if (prepare_pipes()) return 1; write_x(p[1]); fill(q[1]); return 0; }
static void block_pipe_read(void) { arm(); check(read(p[0], big, 1) == 1, "read"); }
static void block_pipe_write(void) { arm(); check(write(p[1], big, 4096) == 4096, "write"); }
static void block_splice(void) { arm(); splice(p[0], 0, q[1], 0, 4096, 0); }
static void block_tee(void) { arm(); tee(p[0], q[1], 4096, 0); }
static void block_vmsplice(void) { struct iovec piece = {big, 4096}; arm(); vmsplice(p[1], &piece, 1, 0); }
static void wake_reader(pid_t child) { (void)child; write_x(p[1]); }
static void wake_writer(pid_t child) { (void)child; check(read(p[0], big, 65536) > 0, "read"); }
static void wake_second_writer(pid_t child) { (void)child; check(read(q[0], big, 65536) > 0, "read"); }
static int prepare_half_pipe(void) { return pipe(p); }
static void block_read_end(void) { close(p[1]); arm(); read(p[0], big, 1); }
static void wake_by_close(pid_t child) { (void)child; close(p[1]); }

static const char *fifo_path = "iolab-waits-fifo";
static int prepare_fifo(void) { unlink(fifo_path); return mkfifo(fifo_path, 0600); }
static void block_fifo_read(void) { arm(); close(open(fifo_path, O_RDONLY)); }
static void block_fifo_write(void) { arm(); close(open(fifo_path, O_WRONLY)); }
static void wake_fifo_read(pid_t child) { fd = open(fifo_path, O_WRONLY); until_ended(child); close(fd); unlink(fifo_path); }
static void wake_fifo_write(pid_t child) { fd = open(fifo_path, O_RDONLY); until_ended(child); close(fd); unlink(fifo_path); }

/* ---- terminals ---- */

static int prepare_terminal(void) {
  struct termios raw;
  fd = posix_openpt(O_RDWR | O_NOCTTY);
  if (fd < 0 || grantpt(fd) || unlockpt(fd)) return 1;
  other = open(ptsname(fd), O_RDWR | O_NOCTTY);
  if (other < 0 || tcgetattr(other, &raw)) return 1;
  cfmakeraw(&raw);
  return tcsetattr(other, TCSANOW, &raw);
}
static int prepare_full_terminal(void) { if (prepare_terminal()) return 1; fill(other); return 0; }
static void block_terminal_read(void) { arm(); check(read(other, big, 1) == 1, "read"); }
static void block_terminal_write(void) { arm(); for (int i = 0; i < 64; i++) check(write(other, big, 4096) > 0, "write"); }
static void wake_terminal_reader(pid_t child) { (void)child; write_x(fd); }
static void wake_terminal_writer(pid_t child) {
  siginfo_t info = {};
  fcntl(fd, F_SETFL, O_NONBLOCK);
  while (!info.si_pid) {
    if (read(fd, big, 65536) <= 0) sched_yield();
    waitid(P_PID, child, &info, WNOWAIT | WEXITED | WNOHANG);
  }
}
static void block_master_read(void) { arm(); check(read(fd, big, 1) == 1, "read"); }
static void wake_master_reader(pid_t child) { (void)child; write_x(other); }

/* ---- descriptors of the kernel ---- */

static int prepare_eventfd(void) { return (fd = eventfd(0, 0)) < 0; }
static int prepare_full_eventfd(void) { uint64_t most = -2ULL; return prepare_eventfd() || write(fd, &most, 8) != 8; }
static void block_eventfd_read(void) { uint64_t n; arm(); check(read(fd, &n, 8) == 8, "read"); }
static void block_eventfd_write(void) { uint64_t n = 1; arm(); check(write(fd, &n, 8) == 8, "write"); }
static void wake_eventfd_reader(pid_t child) { (void)child; uint64_t n = 1; check(write(fd, &n, 8) == 8, "write"); }
static void wake_eventfd_writer(pid_t child) { (void)child; uint64_t n; check(read(fd, &n, 8) == 8, "read"); }

static void block_timerfd(void) {
  struct itimerspec once = {{0, 0}, soon};
  uint64_t n;
  int mine = timerfd_create(CLOCK_MONOTONIC, 0);
  timerfd_settime(mine, 0, &once, NULL);
  arm();
  check(read(mine, &n, 8) == 8, "read");
}
static void block_signalfd(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int mine = signalfd(-1, &set, 0);
  struct signalfd_siginfo info;
  arm();
  check(read(mine, &info, sizeof(info)) == sizeof(info), "read");
}
static int prepare_inotify(void) { return (fd = inotify_init()) < 0 || inotify_add_watch(fd, ".", IN_CREATE) < 0; }
static void block_inotify(void) { arm(); check(read(fd, big, 4096) > 0, "read"); }
static void make_file(pid_t child) { (void)child; close(open("iolab-waits-file", O_CREAT | O_RDWR, 0600)); unlink("iolab-waits-file"); }

static int prepare_fanotify(void) {
  return (fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY)) < 0 || fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, ".");
}
static void wake_fanotify(pid_t child) { make_file(child); close(fd); }
static int prepare_permission(void) {
  if (open("iolab-waits-guarded", O_CREAT | O_RDWR, 0600) < 0) return 1;
  return (fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY)) < 0 || fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "iolab-waits-guarded");
}
static void block_permission(void) { arm(); close(open("iolab-waits-guarded", O_RDONLY)); }
static void wake_permission(pid_t child) {
  (void)child;
  struct fanotify_event_metadata *event = (void *)big;
  check(read(fd, big, 4096) > 0, "read");
  struct fanotify_response answer = {event->fd, FAN_ALLOW};
  check(write(fd, &answer, sizeof(answer)) == sizeof(answer), "write");
  close(event->fd);
  close(fd);
}

/* ---- multiplexers ---- */

static void block_epoll(void) {
  struct epoll_event event = {.events = EPOLLIN};
  int mine = epoll_create1(0);
  epoll_ctl(mine, EPOLL_CTL_ADD, p[0], &event);
  arm();
  epoll_wait(mine, &event, 1, -1);
}
static void block_epoll_limit(void) { struct epoll_event event; int mine = epoll_create1(0); arm(); epoll_wait(mine, &event, 1, 20); }
static void block_poll(void) { struct pollfd set = {p[0], POLLIN, 0}; arm(); poll(&set, 1, -1); }
static void block_poll_limit(void) { arm(); poll(NULL, 0, 20); }
static void block_select(void) { fd_set set; FD_ZERO(&set); FD_SET(p[0], &set); arm(); select(p[0] + 1, &set, NULL, NULL, NULL); }

/* ---- io_uring and AIO ---- */

static int prepare_uring(void) {
  struct io_uring_params params = {};
  if (pipe(p)) return 1;
  fd = syscall(SYS_io_uring_setup, 2, &params);
  if (fd < 0) return 1;
  char *ring = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  struct io_uring_sqe *entry = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
  if (ring == MAP_FAILED || entry == MAP_FAILED) return 1;
  *entry = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = p[0], .poll32_events = POLLIN};
  ((unsigned *)(ring + params.sq_off.array))[0] = 0;
  *(volatile unsigned *)(ring + params.sq_off.tail) = 1;
  return 0;
}
static void block_uring(void) { arm(); syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0); }
static void block_aio(void) {
  aio_context_t context = 0;
  struct io_event event;
  struct iocb request = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = p[0], .aio_buf = POLLIN}, *list[] = {&request};
  check(!syscall(SYS_io_setup, 1, &context) && syscall(SYS_io_submit, context, 1, list) == 1, "io_submit");
  arm();
  syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
}

/* ---- pages, disks, and locks of the kernel ----
 *
 * A page of a userfaultfd is missing until this program supplies it. So a thread that touches the page sleeps, and a thread that
 * copies from it inside a call sleeps with the locks of that call. */

static char *missing;
static int prepare_page(void) {
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register part = {.range = {0, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  missing = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  fd = syscall(SYS_userfaultfd, 0);
  if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) return 1;
  part.range.start = (uintptr_t)missing;
  return ioctl(fd, UFFDIO_REGISTER, &part) != 0;
}
static void *supply(void *unused) {
  struct uffdio_copy page = {.dst = (uintptr_t)missing, .src = (uintptr_t)big, .len = 4096};
  check(read(p[0], big, 1) == 1 && !ioctl(fd, UFFDIO_COPY, &page), "UFFDIO_COPY");
  return unused;
}
static void with_a_page(void) {  /* the page belongs to this process: it is made here, and supplied by a thread */
  pthread_t supplier;
  check(!prepare_page() && !pthread_create(&supplier, NULL, supply, NULL), "userfaultfd");
}
static int prepare_page_pipe(void) { int able = syscall(SYS_userfaultfd, 0); if (able >= 0) close(able); return able < 0 || prepare_pipes(); }
static void block_page(void) { with_a_page(); arm(); *(volatile char *)missing = 1; }
static void block_page_in_call(void) { with_a_page(); arm(); check(write(q[1], missing, 1) == 1, "write"); }
static void block_userfaultfd(void) {
  struct uffd_msg message;
  check(!prepare_page(), "userfaultfd");
  arm();
  check(read(fd, &message, sizeof(message)) < 0 && errno == EINTR, "read");
}

static pid_t holder;
static void *writes_a_page(void *to) {
  holder = gettid();
  check(write((int)(intptr_t)to, missing, 4096) == 4096, "write");
  return 0;
}
static void beside_a_holder(int of) {
  pthread_t thread;
  with_a_page();
  check(!pthread_create(&thread, NULL, writes_a_page, (void *)(intptr_t)of), "pthread_create");
  while (!*(volatile pid_t *)&holder) sched_yield();
  until_asleep(getpid(), holder);
}
static void block_kernel_mutex(void) { beside_a_holder(q[1]); arm(); check(read(q[0], big, 1) == 1, "read"); }
static void block_inode_lock(void) {
  int mine = open("iolab-waits-file", O_CREAT | O_RDWR, 0600), second = open("iolab-waits-file", O_RDWR);
  beside_a_holder(mine);
  arm();
  check(write(second, big, 1) == 1, "write");
  unlink("iolab-waits-file");
}

static int prepare_data(void) {
  fd = open("iolab-waits-data", O_CREAT | O_RDWR | O_TRUNC, 0600);
  unlink("iolab-waits-data");
  return fd < 0;
}
static void block_fsync(void) { arm(); for (int i = 0; i < 8; i++) check(write(fd, big, sizeof(big)) > 0 && !fsync(fd), "fsync"); }
static void block_msync(void) {
  check(!ftruncate(fd, sizeof(big)), "ftruncate");
  char *data = mmap(0, sizeof(big), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  arm();
  for (int i = 0; i < 8; i++) { memset(data, i, sizeof(big)); check(!msync(data, sizeof(big), MS_SYNC), "msync"); }
}
static void block_disk_read(void) {
  for (int i = 0; i < 8; i++) check(write(fd, big, sizeof(big)) > 0, "write");
  check(!fsync(fd) && !posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
  arm();
  for (off_t at = 0; at < 8 << 20; at += 1 << 20) check(pread(fd, big, 4096, at) == 4096, "pread");
}
static void block_disk_fault(void) {
  for (int i = 0; i < 8; i++) check(write(fd, big, sizeof(big)) > 0, "write");
  check(!fsync(fd) && !posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
  volatile char *data = mmap(0, 8 << 20, PROT_READ, MAP_SHARED, fd, 0);
  arm();
  for (int i = 0; i < 8; i++) (void)data[i << 20];
}

static const struct wait FILES[] = {
  {"pipe read", prepare_pipe, block_pipe_read, wake_reader},
  {"pipe write", prepare_full_pipe, block_pipe_write, wake_writer},
  {"pipe closed", prepare_half_pipe, block_read_end, wake_by_close},
  {"splice from pipe", prepare_pipes, block_splice, wake_reader},
  {"splice to pipe", prepare_full_second, block_splice, wake_second_writer},
  {"tee", prepare_pipes, block_tee, wake_reader},
  {"vmsplice", prepare_full_pipe, block_vmsplice, wake_writer},
  {"fifo open to read", prepare_fifo, block_fifo_read, wake_fifo_read},
  {"fifo open to write", prepare_fifo, block_fifo_write, wake_fifo_write},
  {"terminal read", prepare_terminal, block_terminal_read, wake_terminal_reader},
  {"terminal write", prepare_full_terminal, block_terminal_write, wake_terminal_writer},
  {"master read", prepare_terminal, block_master_read, wake_master_reader},
  {"eventfd read", prepare_eventfd, block_eventfd_read, wake_eventfd_reader},
  {"eventfd write", prepare_full_eventfd, block_eventfd_write, wake_eventfd_writer},
  {"timerfd", 0, block_timerfd, 0},
  {"signalfd", 0, block_signalfd, interrupt},
  {"inotify", prepare_inotify, block_inotify, make_file},
  {"fanotify", prepare_fanotify, block_inotify, wake_fanotify},
  {"fanotify permission", prepare_permission, block_permission, wake_permission},
  {"epoll", prepare_pipe, block_epoll, wake_reader},
  {"epoll limit", 0, block_epoll_limit, 0},
  {"poll", prepare_pipe, block_poll, wake_reader},
  {"poll limit", 0, block_poll_limit, 0},
  {"select", prepare_pipe, block_select, wake_reader},
  {"io_uring", prepare_uring, block_uring, wake_reader},
  {"native aio", prepare_pipe, block_aio, wake_reader},
  {"page", prepare_page_pipe, block_page, wake_reader},
  {"page in call", prepare_page_pipe, block_page_in_call, wake_reader},
  {"userfaultfd", prepare_page_pipe, block_userfaultfd, interrupt},
  {"kernel mutex", prepare_page_pipe, block_kernel_mutex, wake_reader},
  {"inode lock", prepare_page_pipe, block_inode_lock, wake_reader},
  {"fsync", prepare_data, block_fsync, 0},
  {"msync", prepare_data, block_msync, 0},
  {"disk read", prepare_data, block_disk_read, 0},
  {"disk fault", prepare_data, block_disk_fault, 0},
};
