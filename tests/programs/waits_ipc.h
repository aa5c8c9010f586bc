/* Waits on System V IPC, POSIX message queues, file locks and futexes. */
#pragma once
#include "waits.h"
#include <linux/futex.h>
#include <mqueue.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

static struct { long type; char text[8]; } letter = {1, "x"};
static struct sembuf take = {0, -1, 0}, give = {0, 1, 0};
static const char *lock_path = "iolab-waits-lock";

static int prepare_semaphore(void) { return (fd = semget(IPC_PRIVATE, 1, 0600)) < 0; }
static void block_semop(void) { arm(); semop(fd, &take, 1); }
static void wake_semop(pid_t child) { (void)child; semop(fd, &give, 1); semctl(fd, 0, IPC_RMID); }
static void wake_by_removal(pid_t child) { (void)child; semctl(fd, 0, IPC_RMID); }
static void block_semtimedop(void) { arm(); semtimedop(fd, &take, 1, &soon); semctl(fd, 0, IPC_RMID); }

static int prepare_letters(void) { return (fd = msgget(IPC_PRIVATE, 0600)) < 0; }
static int prepare_full_letters(void) {
  if (prepare_letters()) return 1;
  while (msgsnd(fd, &letter, 8, IPC_NOWAIT) == 0) {}
  return errno != EAGAIN;
}
static void block_msgrcv(void) { arm(); msgrcv(fd, &letter, 8, 0, 0); }
static void wake_msgrcv(pid_t child) { msgsnd(fd, &letter, 8, 0); until_ended(child); msgctl(fd, IPC_RMID, 0); }
static void block_msgsnd(void) { arm(); msgsnd(fd, &letter, 8, 0); }
static void wake_msgsnd(pid_t child) { msgrcv(fd, &letter, 8, 0, 0); until_ended(child); msgctl(fd, IPC_RMID, 0); }

static int prepare_mq(void) {
  struct mq_attr shape = {.mq_maxmsg = 1, .mq_msgsize = 16};
  fd = mq_open("/iolab-waits", O_CREAT | O_RDWR, 0600, &shape);
  mq_unlink("/iolab-waits");
  return fd < 0;
}
static int prepare_full_mq(void) { return prepare_mq() || mq_send(fd, "a", 1, 0); }
static void block_mq_receive(void) { arm(); mq_receive(fd, big, 16, 0); }
static void block_mq_send(void) { arm(); mq_send(fd, "b", 1, 0); }
static void wake_mq_receive(pid_t child) { (void)child; mq_send(fd, "a", 1, 0); close(fd); }
static void wake_mq_send(pid_t child) { (void)child; mq_receive(fd, big, 16, 0); close(fd); }

static int prepare_file(void) { return (fd = open(lock_path, O_CREAT | O_RDWR, 0600)) < 0; }
static int prepare_flock(void) { return prepare_file() || flock(fd, LOCK_EX); }
static void block_flock(void) { int mine = open(lock_path, O_RDWR); arm(); flock(mine, LOCK_EX); }
static void wake_flock(pid_t child) { (void)child; flock(fd, LOCK_UN); close(fd); }

static struct flock whole = {.l_type = F_WRLCK};
static int prepare_record_lock(void) { whole.l_type = F_WRLCK; return prepare_file() || fcntl(fd, F_SETLK, &whole); }
static void block_record_lock(void) { arm(); fcntl(fd, F_SETLKW, &whole); }
static void wake_record_lock(pid_t child) { (void)child; whole.l_type = F_UNLCK; fcntl(fd, F_SETLK, &whole); close(fd); }

static int prepare_lease(void) { signal(SIGIO, on_signal); return prepare_file() || fcntl(fd, F_SETLEASE, F_WRLCK); }
static void block_lease(void) { arm(); close(open(lock_path, O_RDWR)); }
static void wake_lease(pid_t child) { (void)child; fcntl(fd, F_SETLEASE, F_UNLCK); close(fd); }

/* ---- futexes ---- */

static int prepare_word(void) { shared->word = 0; return 0; }
static long futex(int operation, int value, const struct timespec *limit) {
  return syscall(SYS_futex, &shared->word, operation, value, limit, NULL, 0);
}
static void block_futex(void) { arm(); futex(FUTEX_WAIT, 0, NULL); }
static void block_futex_limit(void) { arm(); futex(FUTEX_WAIT, 0, &soon); }
static void wake_futex(pid_t child) { (void)child; shared->word = 1; futex(FUTEX_WAKE, 1, NULL); }

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
static void block_futex_waitv(void) {
  struct { uint64_t value, address; uint32_t flags, reserved; } words[1] = {{0, (uintptr_t)&shared->word, 2, 0}};
  arm();
  syscall(SYS_futex_waitv, words, 1, 0, NULL, 0);
}

static void make_mutex(pthread_mutex_t *mutex, int inherits, int robust) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  if (inherits) pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
  if (robust) pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &kind);
}

static int prepare_mutex(void) { make_mutex(&shared->mutex, 0, 0); return pthread_mutex_lock(&shared->mutex); }
static void block_mutex(void) { arm(); pthread_mutex_lock(&shared->mutex); }
static void wake_mutex(pid_t child) { (void)child; pthread_mutex_unlock(&shared->mutex); }

static int prepare_inherits(void) { make_mutex(&shared->inherits, 1, 0); return pthread_mutex_lock(&shared->inherits); }
static void block_inherits(void) { arm(); pthread_mutex_lock(&shared->inherits); }
static void wake_inherits(pid_t child) { (void)child; pthread_mutex_unlock(&shared->inherits); }

static void *dies_with_it(void *seen) {
  pthread_mutex_lock(&shared->robust);
  *(volatile int *)seen = 1;
  char c;
  if (read(p[0], &c, 1) < 0) abort();
  return 0;
}
static int prepare_robust(void) {
  static volatile int locked;
  pthread_t owner;
  make_mutex(&shared->robust, 0, 1);
  if (pipe(p) || pthread_create(&owner, NULL, dies_with_it, (void *)&locked)) return 1;
  while (!locked) sched_yield();
  return pthread_detach(owner);
}
static void block_robust(void) { arm(); pthread_mutex_lock(&shared->robust); }
static void wake_robust(pid_t child) { (void)child; write_x(p[1]); }

static int prepare_condition(void) {
  pthread_condattr_t kind;
  pthread_condattr_init(&kind);
  pthread_condattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  make_mutex(&shared->mutex, 0, 0);
  return pthread_cond_init(&shared->condition, &kind);
}
static void block_condition(void) {
  pthread_mutex_lock(&shared->mutex);
  arm();
  pthread_cond_wait(&shared->condition, &shared->mutex);
}
static void wake_condition(pid_t child) { (void)child; pthread_cond_signal(&shared->condition); }

static const struct wait IPC[] = {
  {"semop", prepare_semaphore, block_semop, wake_semop},
  {"semaphore removed", prepare_semaphore, block_semop, wake_by_removal},
  {"semtimedop", prepare_semaphore, block_semtimedop, 0},
  {"msgrcv", prepare_letters, block_msgrcv, wake_msgrcv},
  {"msgsnd", prepare_full_letters, block_msgsnd, wake_msgsnd},
  {"mq_receive", prepare_mq, block_mq_receive, wake_mq_receive},
  {"mq_send", prepare_full_mq, block_mq_send, wake_mq_send},
  {"flock", prepare_flock, block_flock, wake_flock},
  {"record lock", prepare_record_lock, block_record_lock, wake_record_lock},
  {"lease", prepare_lease, block_lease, wake_lease},
  {"futex", prepare_word, block_futex, wake_futex},
  {"futex limit", prepare_word, block_futex_limit, 0},
  {"futex_waitv", prepare_word, block_futex_waitv, wake_futex},
  {"mutex", prepare_mutex, block_mutex, wake_mutex},
  {"priority mutex", prepare_inherits, block_inherits, wake_inherits},
  {"robust mutex", prepare_robust, block_robust, wake_robust},
  {"condition", prepare_condition, block_condition, wake_condition},
};
