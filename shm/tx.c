/*
 * tx.c -- transactions on a slot segment, by undo
 */
#include "shm/tx.h"

unsigned
tx_recover(struct tx *tx)
{
    unsigned n = tx->n;

    assert(n <= TX_NOTES_MAX);
    for (unsigned i = n; i-- > 0;) {
        memcpy(tx->note[i].at, &tx->note[i].before, tx->note[i].size);
        killpoint(TX_UNDOING);
    }
    atomic_signal_fence(memory_order_seq_cst);
    tx->n = 0;
    tx->depth = 0;
    return n;
}
