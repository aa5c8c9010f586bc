/* The end of a recording: what a thread that lives on has not had occasion to report.
 *
 * Needs report_sleep (sched.c), report_call and report_totals (calls.c). Nothing is attached: the instrument runs on_end once for
 * each thread, by BPF_PROG_TEST_RUN, when nothing is followed any more (`stopped`). The thread's state is closed by it. */

/* on_end(tid, end) */
int on_end(struct raw *ctx) {
  u32 tid = (u32)ctx->args[0];
  u64 now = ctx->args[1];
  struct thread *t = threads.lookup(&tid);
  if (!t)
    return 0;
  /* a program that was under way at `end` may have reported something a moment later */
  if (now < t->enter) now = t->enter;
  if (now < t->off_at) now = t->off_at;
  if (now < t->on_at) now = t->on_at;
  struct phases *p = t->where == IN_USER ? &t->out : &t->in;
  u64 off = now - t->off_at;
  t->copy_at = 0;  /* a copy under way has no end yet */
  if (t->off == ASLEEP) {
    p->wait += off;
    p->sleeps++;
    t->unseen = t->early = 0;
    t->woke = now;
    report_sleep(t, now, SLEEP_OPEN);
  } else if (t->off == PREEMPTED) {
    p->preempted += off;
  } else if (t->off == NEWBORN) {
    p->delay += off;
  }
  if (t->where == IN_CALL)
    report_call(t, 0, CALL_OPEN, now);
  else if (t->where == IN_BIRTH)
    fold_exit(t, IN_BIRTH, now);
  return report_totals(t, now, 0);
}
