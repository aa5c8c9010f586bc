/* What a followed thread is in at this moment, while the recording goes on.
 *
 * Needs the maps of instrument.c and struct thread (fold.h). Offers nothing to others. No event runs on_reading: the instrument runs it
 * for each thread, by BPF_PROG_TEST_RUN, then reads the map. The thread may go on meanwhile: a figure may be that of a moment
 * later than another. */

BPF_ARRAY(states, struct state_record, 1);

/* on_reading(tid) */
int on_reading(struct raw *ctx) {
  u32 tid = (u32)ctx->args[0];
  int zero = 0;
  struct state_record *s = states.lookup(&zero);
  struct thread *t = threads.lookup(&tid);
  if (!s)
    return 0;
  s->kind = 0;
  if (!t)
    return 0;
  u64 open = t->where != IN_USER;  /* fold_exit leaves the phases of the last call in `in` */
  s->kind = KIND_STATE;
  s->thread = t->serial;
  s->nr = t->where == IN_CALL ? (s32)t->nr : -1;
  s->off = t->off;
  s->born = t->born;
  s->off_at = t->off_at;
  s->woken_at = t->woken_at;
  s->stack = t->off == ASLEEP ? t->stack : 0;
  s->wait = t->inside.wait + t->out.wait + open * t->in.wait;
  s->delay = t->inside.delay + t->out.delay + open * t->in.delay;
  s->preempted = t->inside.preempted + t->out.preempted + open * t->in.preempted;
  s->made = t->made;
  s->at = bpf_ktime_get_ns();
  return 0;
}
