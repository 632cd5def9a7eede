/*
 * work.c -- a queue of slow work, one piece per turn
 */
#include "auth/work.h"

#include <errno.h>

static void
on_turn_end(void *arg)
{
    struct work_queue *q = arg;
    struct work *work;

    if (q->n == 0)
        return;
    work = list_entry(q->list.next, struct work, node);
    list_del(&work->node);
    q->n--;
    work->fn(work);
    loop_again(q->loop); /* for the rest, and to send what this piece has answered */
}

void
work_queue_init(struct work_queue *q, struct loop *loop, size_t n_max)
{
    q->loop = loop;
    q->n = 0;
    q->n_max = n_max;
    q->turn.fn = on_turn_end;
    q->turn.arg = q;
    list_init(&q->list);
    loop_on_turn_end(loop, &q->turn);
}

void
work_init(struct work *work, void (*fn)(struct work *work))
{
    list_init(&work->node);
    work->fn = fn;
}

int
work_add(struct work_queue *q, struct work *work)
{
    if (q->n >= q->n_max)
        return -ENOBUFS;
    list_add(&q->list, &work->node);
    q->n++;
    return 0;
}

void
work_cancel(struct work_queue *q, struct work *work)
{
    if (list_empty(&work->node))
        return;
    list_del(&work->node);
    q->n--;
}
