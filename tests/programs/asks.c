/* asks COUNT COOKIE: COUNT times says "?" and reads one byte from standard input. */
#include "marker.h"

int main(int argc, char **argv) {
  char c;
  follow_me(argv[2]);
  for (long i = 0; i < atol(argv[1]); i++)
    if (write(1, "?\n", 2) != 2 || read(0, &c, 1) != 1) return 1;
  return 0;
}
