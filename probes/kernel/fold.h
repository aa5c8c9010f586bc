/* The account of one followed thread's time, as a state machine: to which phase each ns between two events belongs.
 *
 * Needs the C types u8 to u64, COMM and SUM_BUCKETS; no BPF helper and no clock. So the tests compile this file with a C compiler
 * and run it with random sequences of events. Offers struct thread and the fold_ functions to the other parts.
 *
 * The law: for each call
 *     exit - enter == wait + delay + preempted + copy + the rest (kernel)
 * and each ns is counted once. Times are ns of CLOCK_MONOTONIC.
 */
#pragma once

enum { ON_CPU, ASLEEP, PREEMPTED, NEWBORN };
/* IN_BIRTH: from the fork to the child's own return from clone. A worker of the kernel is always there. */
enum { IN_USER, IN_CALL, IN_BIRTH };

struct phases {
  u64 wait;       /* asleep: switch-out to wake-up */
  u64 delay;      /* woken: wake-up to switch-in */
  u64 preempted;  /* off the CPU while runnable */
  u32 sleeps, preemptions;
};

/* The kind of a file that the thread used (descriptors.c) */
struct known_file { u64 file, operations, inode, release; u32 socket, unused; };
#define KNOWN_FILES 8  /* a power of two: by the descriptor's number */

/* A call that may be part of a spin (calls.c): how often it was repeated, in which spin, and when it was made last (`used`). */
struct repeat { s64 nr, ret; u64 args[4]; u64 used; u32 times, spin; };
#define CYCLE 4  /* the most different calls in a round of a spin; a power of two */

struct thread {
  u32 serial;
  u32 where;               /* IN_USER, IN_CALL or IN_BIRTH */
  s64 nr;
  u64 enter;
  u64 args[4];
  struct phases in;        /* of the open call (or birth) */
  struct phases out;       /* of all the time outside calls */
  u64 copy, copied;        /* the open call's copying so far; when its last copy ended */
  u64 copy_at, copy_off;   /* the copy under way: its start, and the time off the CPU before it */
  u64 birth, birth_copy;   /* ns on the CPU between fork and first return: at work, and copying */
  u64 calls, bursts;       /* calls reported one by one; calls folded into bursts */
  u64 enters, exits;       /* events at both ends of its calls */
  u64 born, made;          /* when the thread was followed; its calls */
  struct phases inside;    /* of all its calls */
  u64 inside_total, inside_copy;
  u64 reported_wait;       /* of the sleeps outside calls that were reported one by one */
  u32 reported;            /* how many these are */
  u32 account;             /* whose rows its sums belong to: its own serial or OTHERS */
  u32 adopted;             /* followed in the middle of its life: its first event may contradict its state */
  u32 parent, worker;      /* the serial of its creator; 1: a worker of the kernel */
  u32 touched;             /* an event came since the beginning of the call, or since the end of the call before */
  u32 detailed;            /* the call, and the sleeps until its end, are reported one by one (sums.c) */
  u32 open_bursts;         /* in the table of bursts */
  u32 closes;              /* calls of close */
  u32 loaded;              /* args has the arguments of the call */
  struct repeat last[CYCLE];
  u64 clock;               /* of `used` in these; even */
  u32 spin;                /* a new number after each call that sleeps, moves data, or is new */
  u64 regs;                /* the registers of the call (struct pt_regs), which the kernel keeps until its end */
  u32 queue_carried, waker_carried, waker;  /* labels of the latest sleep (sched.c); the waker's serial */
  u32 copies;
  u32 off;                 /* ON_CPU, ASLEEP, PREEMPTED, NEWBORN */
  u32 unseen, early;       /* of the latest sleep: its wake-up was not reported; its wake-up came before the switch-out */
  u64 off_at, woken_at, on_at;  /* the latest switch-out, wake-up and switch-in */
  u64 woke;                /* of the latest sleep: its end, between switch-out and switch-in */
  u64 stack, waker_stack;
  u64 probed;              /* the probe's own work in the waker, ns: it prolongs the sleep */
  u32 waker_tid;
  u32 arrivals, unread, drained;
  u32 bracketed, datagram; /* inside a copy that has a probe at its end; inside the receiving of a datagram */
  u32 polled, queued, unqueued, linear;
  u64 copy_in_max;           /* ns on the CPU from the start of a multiplexer to the first descriptor that it polls */
  u64 copying_out_at, copying_out_off;  /* from when on it may copy its answers out, and the time off the CPU before that */
  u32 copying_out_sleeps;
  u32 handled;             /* the events that the first of two programs has handled (calls.c) */
  u32 late;                /* a copy of the call ended before the time that is known */
  u32 unfollowed;          /* the latest child for which the table had no room (threads.c) */
  u64 object;              /* behind the descriptor that the thread sleeps on */
  u64 socket, ready, latest;  /* ready, latest: when the oldest and the newest of the data that was read had arrived */
  u64 taking_at, taken;    /* the start and the bytes of the latest buffer's copy */
  char waker_comm[COMM];
  u64 closing;             /* the kind of the descriptor that the open call closes */
  u32 closing_socket;
  u32 folding;             /* which bursts may be open: a bit for each kind of call and descriptor (calls.c) */
  struct known_file files[KNOWN_FILES];
};

static inline __attribute__((always_inline)) u64 off_cpu(const struct phases *p) {
  return p->wait + p->delay + p->preempted;
}

/* The start of a call. Most calls of a busy thread neither sleep nor copy: nothing is set to zero that is zero already. */
static inline __attribute__((always_inline)) void fold_enter(struct thread *t, s64 nr, u64 now) {
  t->nr = nr;
  t->enter = now;
  t->loaded = 0;
  if (t->touched) {
    t->in = (struct phases){};
    t->copy = t->copied = t->copy_at = t->socket = t->ready = t->latest = 0;
    t->copies = t->arrivals = t->unread = t->drained = t->bracketed = t->datagram = 0;
    t->polled = t->queued = t->unqueued = t->linear = t->late = 0;
    t->taken = 0;
    t->copy_in_max = t->copying_out_at = 0;
    t->touched = 0;
  }
  __asm__ __volatile__("" ::: "memory");
  t->where = IN_CALL;
}

/* Newer kernels may preempt a thread inside the program at sys_enter. If that was after `now` was read, the absence belongs to
 * the time before the call, and the call starts again. */
static inline __attribute__((always_inline)) int fold_enter_interrupted(const struct thread *t) {
  return t->off_at > t->enter;
}

static inline __attribute__((always_inline)) void fold_enter_again(struct thread *t, u64 now) {
  t->out.preempted += t->in.preempted;
  t->out.preemptions += t->in.preemptions;
  t->in = (struct phases){};
  t->touched = 1;
  t->enter = now;
}

/* A switch-out. `asleep`: the task left the run queue; otherwise it was preempted or yielded. `off` is written last, because a
 * waker on another CPU may read the state at any time. */
static inline __attribute__((always_inline)) void fold_out(struct thread *t, int asleep, u64 stack, u64 now) {
  t->off_at = now;
  t->stack = stack;
  __asm__ __volatile__("" ::: "memory");
  t->off = asleep ? ASLEEP : PREEMPTED;
}

/* Does a wake-up now end the sleep? Only the first wake-up after the switch-out does. A wake-up while the thread still runs is
 * kept, too: either it is stale, and the next wake-up replaces it, or the switch-out was already decided, and no other wake-up
 * will come. */
static inline __attribute__((always_inline)) int fold_wakes(const struct thread *t) {
  return !(t->off == ASLEEP && t->woken_at >= t->off_at);
}

/* A switch-in. Returns 1 if a sleep ended, 0 if not. */
static inline __attribute__((always_inline)) int fold_in(struct thread *t, u64 now) {
  struct phases *p = t->where == IN_USER ? &t->out : &t->in;
  int slept = t->off == ASLEEP;
  t->touched = 1;
  u64 off = now - t->off_at;
  if (slept) {
    u64 wait = off;
    t->unseen = !t->woken_at;  /* no wake-up was reported: all of the time counts as sleep */
    t->early = t->woken_at && t->woken_at < t->off_at;
    if (t->woken_at)
      wait = t->early ? 0 : t->woken_at - t->off_at;
    if (wait > off)
      wait = off;  /* the clocks of two CPUs may differ by some ns */
    p->wait += wait;
    p->delay += off - wait;
    p->sleeps++;
    t->woke = t->off_at + wait;
  } else if (t->off == PREEMPTED) {
    p->preempted += off;
    p->preemptions++;
  } else if (t->off == NEWBORN) {
    p->delay += off;
  }
  t->off = ON_CPU;
  t->woken_at = 0;
  t->on_at = now;
  return slept;
}

struct moment { u64 at, off; };  /* a time, and the call's time off the CPU until then */

/* A program that runs in the thread's context may be preempted after it has read the clock. Its event then counts from the
 * thread's return to the CPU on. */
static inline __attribute__((always_inline)) struct moment fold_moment(const struct thread *t, u64 now) {
  struct moment m = {.at = now < t->on_at ? t->on_at : now, .off = off_cpu(&t->in)};
  __asm__ __volatile__("" ::: "memory");
  if (t->on_at > m.at) {  /* preempted between the two statements */
    m.at = t->on_at;
    m.off = off_cpu(&t->in);
  }
  return m;
}

static inline __attribute__((always_inline)) void fold_copy_close(struct thread *t, struct moment m) {
  if (t->copy_at) {
    u64 off = m.off - t->copy_off;  /* a page fault may make the thread sleep inside a copy */
    u64 span = m.at - t->copy_at;
    t->copy += span > off ? span - off : 0;
    t->copied = m.at;
    t->copy_at = 0;
  }
}

static inline __attribute__((always_inline)) void fold_copy_end(struct thread *t, u64 now) {
  fold_copy_close(t, fold_moment(t, now));
}

static inline __attribute__((always_inline)) void fold_copy_start(struct thread *t, u64 now) {
  if (t->where != IN_USER) {
    struct moment m = fold_moment(t, now);
    fold_copy_close(t, m);  /* the next buffer starts, so the buffer before is copied */
    t->copy_at = m.at;
    t->copy_off = m.off;
    t->touched = 1;
    t->copies++;
  }
}

/* A copy starts. If a copy seemed to have started before, its start is corrected to now. */
static inline __attribute__((always_inline)) void fold_copy_restart(struct thread *t, u64 now) {
  if (t->where != IN_USER) {
    struct moment m = fold_moment(t, now);
    t->copies += !t->copy_at;
    t->touched = 1;
    t->copy_at = m.at;
    t->copy_off = m.off;
  }
}

/* A multiplexer polls a descriptor, or removes its entry from the descriptor's wait queue. Before the first time it has copied its
 * arguments in. It copies its answers out after the last time, or, where it writes each answer after the poll of its descriptor
 * (`each`: epoll_wait), after the first time since it slept. */
static inline __attribute__((always_inline)) void fold_polled(struct thread *t, int each, u64 now) {
  struct moment m = fold_moment(t, now);
  t->touched = 1;
  if (!t->copying_out_at)
    t->copy_in_max = m.at - t->enter - m.off;
  if (each && t->copying_out_at && t->copying_out_sleeps == t->in.sleeps)
    return;
  t->copying_out_at = m.at;
  t->copying_out_off = m.off;
  t->copying_out_sleeps = t->in.sleeps;
}

/* ns on the CPU since the multiplexer may have begun to copy out */
static inline __attribute__((always_inline)) u64 fold_copy_out_max(const struct thread *t, u64 now) {
  return t->copying_out_at ? now - t->copying_out_at - (off_cpu(&t->in) - t->copying_out_off) : 0;
}

/* The end of a call or of a birth (`was`). The thread is in user code already, so nothing is added to the call while it is
 * reported. */
static inline __attribute__((always_inline)) void fold_exit(struct thread *t, u32 was, u64 now) {
  struct moment end = {.at = now, .off = off_cpu(&t->in)};  /* an absence after `now` is not the call's */
  if (was == IN_CALL) {
    t->made++;
    t->inside_total += now - t->enter;
    if (!t->touched)
      return;
  }
  fold_copy_close(t, end);
  if (was == IN_CALL) {
    t->inside_copy += t->copy;
    t->inside.wait += t->in.wait;
    t->inside.delay += t->in.delay;
    t->inside.preempted += t->in.preempted;
    t->inside.sleeps += t->in.sleeps;
    t->inside.preemptions += t->in.preemptions;
  }
  if (was == IN_BIRTH) {
    t->out.wait += t->in.wait;
    t->out.delay += t->in.delay;
    t->out.preempted += t->in.preempted;
    t->out.sleeps += t->in.sleeps;
    t->out.preemptions += t->in.preemptions;
    t->birth += now - t->enter - off_cpu(&t->in) - t->copy;
    t->birth_copy += t->copy;
  }
}

/* 1 if the number has a bit at `bit` or above, else 0. Without a branch: after two branches, the verifier goes through the
 * following code four times. Numbers are below 2^63. */
static inline __attribute__((always_inline)) u32 has_bit_from(u64 number, u32 bit) {
  u64 rest = number >> bit;
  __asm__ __volatile__("" : "+r"(rest));  /* otherwise the compiler makes a branch of it */
  return -rest >> 63;
}

/* The bucket of a duration: four buckets per octave from 64 ns on (records.bucket_floor is the inverse). */
static inline __attribute__((always_inline)) u32 bucket_of(u64 ns) {
  u32 log = 6;
  if (ns < 64)
    return 0;
  if (ns >= 1ULL << (6 + SUM_BUCKETS / 4))
    return SUM_BUCKETS - 1;
  log += has_bit_from(ns, log + 16) << 4;
  log += has_bit_from(ns, log + 8) << 3;
  log += has_bit_from(ns, log + 4) << 2;
  log += has_bit_from(ns, log + 2) << 1;
  log += has_bit_from(ns, log + 1);
  u32 bucket = (log - 6) * 4 + ((ns >> (log - 2)) & 3);
  __asm__ __volatile__("" : "+r"(bucket));  /* otherwise the compiler leaves out the caller's mask, and Linux 5.10 finds no bound */
  return bucket;
}
