/* A child touches 256 pages of a file, far apart and out of order. "wrong": the file has left the page cache. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 64 << 20, STEP = 1 << 18 };

int main(int argc, char **argv) {
  int file = open("pages.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
  static char data[1 << 20];
  for (int i = 0; i < SIZE >> 20; i++)
    write(file, data, sizeof data);
  fsync(file);
  if (argc > 1 && !strcmp(argv[1], "wrong"))
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  if (!fork()) {
    volatile char *pages = mmap(0, SIZE, PROT_READ, MAP_SHARED, file, 0);
    madvise((void *)pages, SIZE, MADV_RANDOM);
    for (long i = 0; i < SIZE / STEP; i++)
      pages[i * 97 % (SIZE / STEP) * STEP];
    _exit(0);
  }
  wait(0);
  unlink("pages.data");
  return 0;
}
