"""The exercises: for each I/O model a whole echo server in Python (MODEL.py) and in C (MODEL.c), with marked gaps.

The file is the solution. A student gets the skeleton: the same file with a stub in the place of each gap's lines. The file must
start alone, as MODEL_server.py or as a program compiled by `cc -Wall -Wextra -pthread -o MODEL_server MODEL_server.c`:

* it imports no module of this project, and fits on a page;
* its port is the first argument, else the variable PORT; 0 is any free port; it listens on 127.0.0.1;
* it echoes every byte of every connection, and SIGTERM ends it, with all processes and threads that it started.

A gap is a step of the model. Comment lines mark it; in C they begin with // instead of #:

    # GAP 1: What the student has to do here, in one or two sentences. A further comment line
    # goes on with the sentence.
    # CHECKS: registered_once, protocol
    the lines of the solution
    # HINT: The idea. (2 to 4 hints, each more direct.)
    # HINT: The man page or the section of UNP.
    # HINT: The call with its arguments.
    # STUB: a line that the skeleton has instead
    # STUB:     a second line, indented by 4 more columns
    # END

CHECKS names what fails while the gap holds its stub: criteria and checks of `./iolab check MODEL` (names from
runs/grading/rubrics/MODEL.toml) or properties (the ids of findings/properties). The first of them must fail whenever this gap
alone holds its stub: a gap with code whose first check is met is not suspected (runs/exercise/assessment.py). Where `protocol`
fails, most other checks fail with it, and need no name. A stub's line keeps its place relative to the marker. A gap may have no
stub. The numbers 1, 2, 3 ... are the order in which a student thinks; their order in the file may differ. With its stubs the
file must start (in C: compile without a warning) and be wrong. `python -m tests.labs.exercises LANGUAGE MODEL` tests all of
this.

The student sees the GAP comment, the stub, and a line "# END 1" in the place of END: the lines between are the student's.
"""
