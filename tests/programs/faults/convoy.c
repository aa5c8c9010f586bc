/* Four threads do 40 short pieces of work each. "wrong": each piece is done under one mutex. "semaphore": the lock is a semaphore,
 * as in Python. "right": each thread has a mutex of its own. "pool": the threads wait for a semaphore that main posts. */
#include "connection.h"
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

static pthread_mutex_t locks[4] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                   PTHREAD_MUTEX_INITIALIZER};

static void *work(void *mine) {
  for (int i = 0; i < 40; i++) {
    pthread_mutex_lock(mine);
    struct timespec t = {0, 500000};
    nanosleep(&t, 0);
    pthread_mutex_unlock(mine);
  }
  return 0;
}

static sem_t one_piece;

static void *work_in_turn(void *unused) {
  for (int i = 0; i < 40; i++) {
    sem_wait(&one_piece);
    struct timespec t = {0, 500000};
    nanosleep(&t, 0);
    sem_post(&one_piece);
  }
  return unused;
}

static void *take(void *unused) {
  for (int i = 0; i < 20; i++)
    sem_wait(&one_piece);
  return unused;
}

int main(int argc, char **argv) {
  int one = argc > 1 && !strcmp(argv[1], "wrong");
  int pool = argc > 1 && !strcmp(argv[1], "pool"), semaphore = argc > 1 && !strcmp(argv[1], "semaphore");
  pthread_t threads[4];
  sem_init(&one_piece, 0, semaphore);
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], 0, semaphore ? work_in_turn : pool ? take : work, &locks[one ? 0 : i]);
  for (int i = 0; i < 80 && pool; i++)
    sem_post(&one_piece), pause_ms(1);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], 0);
  return 0;
}
