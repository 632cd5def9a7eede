#ifndef SQL_QUEUE_H
#define SQL_QUEUE_H

#include "base/list.h"
#include "sql/engine.h"

/* Requests in the order in which they take effect. Bounded. */
enum {
    SQL_QUEUE_MAX = 20000,
    SQL_QUEUE_BYTES_MAX = 64 << 20,
    SQL_REQUEST_BYTES_MAX = 4 << 20,
};
struct sql_queue {
    struct list list;
    size_t n, n_reads, bytes;
};

/* A copy of the call in one piece of memory; the errors of sql_request. */
int sql_req_new(const struct sql_call *call, struct sql_req **ret_req);
void sql_req_free(struct sql_req **req);

void sql_queue_init(struct sql_queue *q);
struct sql_req *sql_queue_first(const struct sql_queue *q); /* NULL: empty */
/* Have two queues together no room for so many bytes more? */
bool sql_queue_is_full(
        const struct sql_queue *a, const struct sql_queue *b, size_t bytes);
void sql_queue_add(struct sql_queue *q, struct sql_req *req);
void sql_queue_push(struct sql_queue *q, struct sql_req *req); /* in front */
void sql_queue_take(struct sql_queue *q, struct sql_req *req);
void sql_queue_move(struct sql_queue *q, struct sql_queue *from); /* all, behind it */

#endif
