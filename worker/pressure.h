#ifndef WORKER_PRESSURE_H
#define WORKER_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How full the memory of the slot may become, in pages of the slab. A worker whose slot
 * is exhausted cannot go on, so it acts before: worker/pressure.c.
 */
struct worker;

struct pressure {
    uint32_t most;                     /* worker_memory_max */
    uint32_t mark;                     /* oom_watermark of it */
    uint32_t full;                     /* half way from there to the end, */
    uint32_t last;                     /* and again half way */
    uint32_t stop;                     /* from here on reading pauses, within a turn */
    bool paused;                       /* in this turn it has */
    uint32_t told_s, refused_s;        /* when that was logged last; 0: never */
    unsigned n_cut, n_lost, n_refused; /* since then */
};

/* The marks, from the configuration. */
void pressure_load(struct worker *w);

/* Shall a new connection be refused? Says so in the log, at most once a minute. */
bool pressure_refuses(struct worker *w);

/* May the next stanza be handled in this turn? */
bool pressure_allows(struct worker *w);

/*
 * Is there so little left that output must be dropped? Its connection is then to be cut
 * (CONN_LOST). waiting: bytes for its client, with those to come. Counted.
 */
bool pressure_drops(struct worker *w, uint64_t waiting);

/* So little that not even what waits to be acknowledged can grow? Its session is to
 * end. */
bool pressure_is_last(struct worker *w);

/* At the turn's end, when what could be sent is sent: ends the greediest. */
void pressure_relieve(struct worker *w);

#endif
