"""Properties of a program: one a file, each a statement that a recorded run holds, breaks, or doesn't show.

A lab cites a property as one of its checks (`LAB.holds`). `ALL` lists the properties of the labs' servers, `OF_ANY_PROGRAM`
those that are looked for in every traced program (findings/diagnosis.py).
"""

from __future__ import annotations

from findings.properties.accepts_every_connection import ACCEPTS_EVERY_CONNECTION
from findings.properties.arms_every_descriptor import ARMS_EVERY_DESCRIPTOR
from findings.properties.blocks_in_its_reads import BLOCKS_IN_ITS_READS
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.closes_ended_connections import CLOSES_ENDED_CONNECTIONS
from findings.properties.closes_its_descriptors import CLOSES_ITS_DESCRIPTORS
from findings.properties.computes_little import COMPUTES_LITTLE
from findings.properties.dies_of_no_signal import DIES_OF_NO_SIGNAL
from findings.properties.echoes_every_byte import ECHOES_EVERY_BYTE
from findings.properties.ends_its_threads import ENDS_ITS_THREADS
from findings.properties.gets_a_cpu import GETS_A_CPU
from findings.properties.has_one_owner import HAS_ONE_OWNER
from findings.properties.leaves_no_data_unread import LEAVES_NO_DATA_UNREAD
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from findings.properties.non_blocking_connections import NON_BLOCKING_CONNECTIONS
from findings.properties.one_mechanism import ONE_MECHANISM
from findings.properties.property import Holds, Observation, Property
from findings.properties.queues_at_no_lock import QUEUES_AT_NO_LOCK
from findings.properties.reads_every_byte import READS_EVERY_BYTE
from findings.properties.reads_large_pieces import READS_LARGE_PIECES
from findings.properties.sends_every_byte import SENDS_EVERY_BYTE
from findings.properties.serves_in_turn import SERVES_IN_TURN
from findings.properties.sleeps_without_work import SLEEPS_WITHOUT_WORK
from findings.properties.tries_only_ready_connections import TRIES_ONLY_READY_CONNECTIONS
from findings.properties.waits_for_its_children import WAITS_FOR_ITS_CHILDREN
from findings.properties.waits_for_no_acknowledgement import WAITS_FOR_NO_ACKNOWLEDGEMENT
from findings.properties.waits_for_no_page import WAITS_FOR_NO_PAGE
from findings.properties.wakes_one_thread import WAKES_ONE_THREAD

__all__ = ["ALL", "OF_ANY_PROGRAM", "Holds", "Observation", "Property"]

ALL = (
    ECHOES_EVERY_BYTE,
    NEVER_SPINS,
    NEEDS_NO_SHORT_TIME_OUT,
    BLOCKS_IN_ITS_READS,
    BLOCKS_ONLY_IN_ITS_WAIT,
    LEAVES_NO_DATA_UNREAD,
    COMPUTES_LITTLE,
    SERVES_IN_TURN,
    ONE_MECHANISM,
    NON_BLOCKING_CONNECTIONS,
    ACCEPTS_EVERY_CONNECTION,
    CLOSES_ENDED_CONNECTIONS,
    READS_LARGE_PIECES,
)

OF_ANY_PROGRAM = (
    DIES_OF_NO_SIGNAL,
    SENDS_EVERY_BYTE,
    HAS_ONE_OWNER,
    ARMS_EVERY_DESCRIPTOR,
    ACCEPTS_EVERY_CONNECTION,
    READS_EVERY_BYTE,
    LEAVES_NO_DATA_UNREAD,
    BLOCKS_ONLY_IN_ITS_WAIT,
    COMPUTES_LITTLE,
    SERVES_IN_TURN,
    WAITS_FOR_NO_ACKNOWLEDGEMENT,
    QUEUES_AT_NO_LOCK,
    GETS_A_CPU,
    WAITS_FOR_NO_PAGE,
    NEVER_SPINS,
    SLEEPS_WITHOUT_WORK,
    TRIES_ONLY_READY_CONNECTIONS,
    NEEDS_NO_SHORT_TIME_OUT,
    WAKES_ONE_THREAD,
    CLOSES_ENDED_CONNECTIONS,
    CLOSES_ITS_DESCRIPTORS,
    ENDS_ITS_THREADS,
    WAITS_FOR_ITS_CHILDREN,
    READS_LARGE_PIECES,
)
