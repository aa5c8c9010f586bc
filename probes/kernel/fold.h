/* The life of one followed thread as a state machine: where each ns between two events belongs.
 *
 * Plain C on one struct, no BPF helper and no clock of its own, so that the tests compile this very file with a C compiler
 * and drive it with random event sequences. The law: for every call
 *     exit - enter == wait + delay + preempted + copy + the rest (kernel)
 * and each part is counted once. Times are ns of CLOCK_MONOTONIC.
 */
#pragma once

enum { ON_CPU, ASLEEP, PREEMPTED, NEWBORN };
/* IN_BIRTH: from the fork to the child's own return from clone; a worker of the kernel spends all its life there. */
enum { IN_USER, IN_CALL, IN_BIRTH };

struct phases {
  u64 wait;       /* asleep: switch-out to wake-up */
  u64 delay;      /* woken: wake-up to switch-in */
  u64 preempted;  /* off the CPU while runnable */
  u32 sleeps, preemptions;
};

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
  u64 calls, bursts;         /* calls reported one by one; calls folded into runs */
  u32 copies;
  u32 off;                 /* ON_CPU, ASLEEP, PREEMPTED, NEWBORN */
  u32 unseen, early;       /* of the sleep that ended last: nobody told who woke it; woken before it was switched out */
  u64 off_at, woken_at, on_at;  /* of the switch-out, wake-up and switch-in that came last */
  u64 woke;                /* of the sleep that ended last: when it was over, between its switch-out and switch-in */
  u64 stack, waker_stack;
  u64 probed;              /* our own work in the waker, ns: it prolongs the sleep */
  u32 waker_tid;
  u32 arrivals, unread, drained;
  u32 bracketed, datagram; /* inside a copy whose end will be told; inside the receiving of a datagram */
  u32 polled, queued, unqueued, linear;
  u64 copy_in_max;           /* ns on the CPU from the start of a multiplexer to the first descriptor that it asks */
  u64 copying_out_at, copying_out_off;  /* from where on it may hand out what it found, and the time off the CPU before that */
  u32 copying_out_sleeps;
  u32 handled;                /* what the first of two programs handled (calls.c) */
  u32 late;                /* a copy of the call ended earlier than we know */
  u32 unfollowed;          /* the child that was refused last, for want of room (threads.c) */
  u64 object;              /* that the sleep under way is about */
  u64 socket, ready;
  u64 taking_at, taken;    /* of the copy of the last buffer: its start, its bytes */
  char waker_comm[COMM];
};

static inline __attribute__((always_inline)) u64 off_cpu(const struct phases *p) {
  return p->wait + p->delay + p->preempted;
}

static inline __attribute__((always_inline)) void fold_enter(struct thread *t, s64 nr, u64 now) {
  t->nr = nr;
  t->enter = now;
  t->in = (struct phases){};
  t->copy = t->copied = t->copy_at = t->socket = t->ready = 0;
  t->copies = t->arrivals = t->unread = t->drained = t->bracketed = t->datagram = 0;
  t->polled = t->queued = t->unqueued = t->linear = t->late = 0;
  t->taken = 0;
  t->copy_in_max = t->copying_out_at = 0;
  __asm__ __volatile__("" ::: "memory");
  t->where = IN_CALL;
}

/* Newer kernels may preempt a thread in the middle of our own program at sys_enter. If it was, after `now` was read, that
 * belongs to the time before the call, which starts again. */
static inline __attribute__((always_inline)) int fold_enter_interrupted(const struct thread *t) {
  return t->off_at > t->enter;
}

static inline __attribute__((always_inline)) void fold_enter_again(struct thread *t, u64 now) {
  t->out.preempted += t->in.preempted;
  t->out.preemptions += t->in.preemptions;
  t->in = (struct phases){};
  t->enter = now;
}

/* A switch-out. `asleep`: the task left the run queue; else it was preempted or yielded. `off` is written last: a waker on
 * another CPU may look in at any time. */
static inline __attribute__((always_inline)) void fold_out(struct thread *t, int asleep, u64 stack, u64 now) {
  t->off_at = now;
  t->stack = stack;
  __asm__ __volatile__("" ::: "memory");
  t->off = asleep ? ASLEEP : PREEMPTED;
}

/* Would a wake-up now be the one that ends the sleep? Only the first after the switch-out is; later ones find it awake. One
 * that comes while the thread still runs is kept too: either it is stale, and the next overwrites it, or the switch-out was
 * already decided and this is the only one there will be. */
static inline __attribute__((always_inline)) int fold_wakes(const struct thread *t) {
  return !(t->off == ASLEEP && t->woken_at >= t->off_at);
}

/* A switch-in. Returns 1 if a sleep ended, 0 if not. */
static inline __attribute__((always_inline)) int fold_in(struct thread *t, u64 now) {
  struct phases *p = t->where == IN_USER ? &t->out : &t->in;
  int slept = t->off == ASLEEP;
  u64 off = now - t->off_at;
  if (slept) {
    u64 wait = off;
    t->unseen = !t->woken_at;  /* the wake-up was hidden from us: all of it counts as sleep */
    t->early = t->woken_at && t->woken_at < t->off_at;
    if (t->woken_at)
      wait = t->early ? 0 : t->woken_at - t->off_at;
    if (wait > off)
      wait = off;  /* clocks of two CPUs may differ by some ns */
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

struct moment { u64 at, off; };  /* a time, and how long the call was off the CPU until then */

/* A program that runs in the thread's own context may be preempted after it has read the clock: then its event counts from the
 * thread's return on. */
static inline __attribute__((always_inline)) struct moment fold_moment(const struct thread *t, u64 now) {
  struct moment m = {.at = now < t->on_at ? t->on_at : now, .off = off_cpu(&t->in)};
  __asm__ __volatile__("" ::: "memory");
  if (t->on_at > m.at) {  /* preempted just now, between these two */
    m.at = t->on_at;
    m.off = off_cpu(&t->in);
  }
  return m;
}

static inline __attribute__((always_inline)) void fold_copy_close(struct thread *t, struct moment m) {
  if (t->copy_at) {
    u64 off = m.off - t->copy_off;  /* a page fault may put the thread to sleep inside a copy */
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
    fold_copy_close(t, m);  /* the next buffer starts: the one before is copied */
    t->copy_at = m.at;
    t->copy_off = m.off;
    t->copies++;
  }
}

/* A copy starts, or the one that seemed to have started starts only now. */
static inline __attribute__((always_inline)) void fold_copy_restart(struct thread *t, u64 now) {
  if (t->where != IN_USER) {
    struct moment m = fold_moment(t, now);
    t->copies += !t->copy_at;
    t->copy_at = m.at;
    t->copy_off = m.off;
  }
}

/* A multiplexer asks a descriptor, or leaves its wait queue. By the first time it has copied in what it was handed. What it
 * copies out comes after the last time, or, where each answer is written when its descriptor was asked (`each`: epoll_wait),
 * after the first time since it slept. */
static inline __attribute__((always_inline)) void fold_asked(struct thread *t, int each, u64 now) {
  struct moment m = fold_moment(t, now);
  if (!t->copying_out_at)
    t->copy_in_max = m.at - t->enter - m.off;
  if (each && t->copying_out_at && t->copying_out_sleeps == t->in.sleeps)
    return;
  t->copying_out_at = m.at;
  t->copying_out_off = m.off;
  t->copying_out_sleeps = t->in.sleeps;
}

/* ns on the CPU since then */
static inline __attribute__((always_inline)) u64 fold_copy_out_max(const struct thread *t, u64 now) {
  return t->copying_out_at ? now - t->copying_out_at - (off_cpu(&t->in) - t->copying_out_off) : 0;
}

/* The end of a call, or of a birth: what the thread was in. It is in user code already, so that nothing is added to the call
 * while it is reported. */
static inline __attribute__((always_inline)) void fold_exit(struct thread *t, u32 was, u64 now) {
  struct moment end = {.at = now, .off = off_cpu(&t->in)};  /* what came after `now` is not the call's any more */
  fold_copy_close(t, end);
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

/* A burst's bucket for a duration: four to an octave from 64 ns on (records.bucket_floor is the inverse). */
static inline __attribute__((always_inline)) u32 burst_bucket(u64 ns) {
  u32 log = 6;
  if (ns < 64)
    return 0;
  if (ns >= 1ULL << 22)
    return BURST_BUCKETS - 1;
  if (ns >> (log + 8)) log += 8;
  if (ns >> (log + 4)) log += 4;
  if (ns >> (log + 2)) log += 2;
  if (ns >> (log + 1)) log += 1;
  return (log - 6) * 4 + ((ns >> (log - 2)) & 3);
}
