/* probes/kernel/fold.h as a shared library, so that random sequences of events can be put to the very code that runs in the kernel. */
#include <stddef.h>
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
#define COMM 16
#define SUM_BUCKETS 128
#include "fold.h"

size_t thread_size(void) { return sizeof(struct thread); }
void enter(struct thread *t, s64 nr, u64 now) { fold_enter(t, nr, now); }
void entered(struct thread *t, u64 now) { if (fold_enter_interrupted(t)) fold_enter_again(t, now); }
void leave(struct thread *t, u64 now) { u32 was = t->where; t->where = IN_USER; fold_exit(t, was, now); }
void out(struct thread *t, int asleep, u64 now) { fold_out(t, asleep, 1, now); }
void waking(struct thread *t, u64 now) { if (fold_wakes(t)) t->woken_at = now; }
int in(struct thread *t, u64 now) { return fold_in(t, now); }
void copy_start(struct thread *t, u64 now) { fold_copy_start(t, now); }
void copy_end(struct thread *t, u64 now) { fold_copy_end(t, now); }
void asked(struct thread *t, int each, u64 now) { fold_polled(t, each, now); }
void handed(const struct thread *t, u64 now, u64 *f) { f[0] = t->copy_in_max; f[1] = fold_copy_out_max(t, now); }
u32 bucket(u64 ns) { return bucket_of(ns); }
void phases(const struct thread *t, int outside, u64 *f) {
  const struct phases *p = outside ? &t->out : &t->in;
  f[0] = p->wait; f[1] = p->delay; f[2] = p->preempted; f[3] = outside ? 0 : t->copy;
  f[4] = p->sleeps; f[5] = p->preemptions;
}
