#ifndef SHM_TX_H
#define SHM_TX_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/killpoint.h"

/*
 * Transactions on a slot segment, by undo: before a word is changed, its address and
 * old content are noted in the slot; the commit forgets the notes with one store.
 * Whoever takes the slot over after a death finds either no notes (everything is as of
 * the last commit) or the notes of the transaction that was under way, and puts the old
 * words back. So a kill between any two instructions leaves whole transactions only.
 *
 * There is one writer, the slot's occupant, and the memory outlives it: what a process
 * has stored is seen by its successor in order, so only the compiler must be kept from
 * reordering. Bulk data needs no notes if it goes where no committed word points to
 * yet: behind a committed length, or into memory just allocated.
 */
struct tx_note {
    void *at;
    uint64_t before;
    uint32_t size;
};

enum {
    TX_NOTES_MAX = 1 << 22 /* sparse: the largest fan-outs need a million */
};

struct tx {
    uint32_t n; /* notes in force: 0 outside of transactions */
    uint32_t depth;
    uint64_t number; /* of transactions committed */
    struct tx_note note[TX_NOTES_MAX];
};

/*
 * Begins, or goes one level deeper: the outermost commit counts. These, too, are
 * inline: a stanza takes half a dozen transactions.
 */
static inline void
tx_begin(struct tx *tx)
{
    tx->depth++;
}

/* True when this was the outermost level: everything since its begin is now valid. */
static inline bool
tx_commit(struct tx *tx)
{
    assert(tx->depth > 0);
    if (--tx->depth > 0)
        return false;
    atomic_signal_fence(memory_order_seq_cst);
    killpoint(TX_COMMIT);
    tx->n = 0; /* the commit */
    atomic_signal_fence(memory_order_seq_cst);
    killpoint(TX_COMMITTED);
    tx->number++;
    killpoint(TX_COUNTED);
    return true;
}

/* A successor's first step: undoes what was under way. How many words were put back. */
unsigned tx_recover(struct tx *tx);

/*
 * For TX_SET: notes the old content of size (1, 2, 4 or 8) bytes. Inline, as there are
 * dozens in the path of a stanza, and all sizes are known there.
 */
static inline void
tx_note(struct tx *tx, void *at, size_t size)
{
    struct tx_note *note = &tx->note[tx->n];

    assert(tx->depth > 0 && tx->n < TX_NOTES_MAX);
    note->at = at;
    note->size = (uint32_t)size;
    note->before = 0;
    memcpy(&note->before, at, size);
    atomic_signal_fence(memory_order_seq_cst);
    killpoint(TX_NOTING);
    tx->n++;
    atomic_signal_fence(memory_order_seq_cst);
    killpoint(TX_NOTED);
}

/* Sets a scalar lvalue in the slot within a transaction. */
#define TX_SET(tx, lvalue, value)                  \
    do {                                           \
        tx_note((tx), &(lvalue), sizeof(lvalue));  \
        (lvalue) = (value);                        \
        atomic_signal_fence(memory_order_seq_cst); \
        killpoint(TX_STORED);                      \
    } while (0)

#endif
