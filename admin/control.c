/*
 * control.c -- the frames on the control socket
 *
 * Only root and the service's own user reach the socket, but a bound costs nothing, and
 * a program that speaks something else must not do harm by accident.
 */
#include "admin/control.h"

#include <errno.h>
#include <string.h>

enum {
    REQUEST_HEADER = 12
}; /* version, flags, api version; time-out; number of arguments */

static void
frame_put(struct buf *out, enum control_kind kind, struct str body)
{
    uint32_t n = (uint32_t)body.n;

    buf_add(out, &n, sizeof n);
    buf_add_char(out, (char)kind);
    buf_add_str(out, body);
}

void
control_put(struct buf *out, enum control_kind kind, struct str body)
{
    while (body.n > CONTROL_PART) {
        frame_put(out, kind, (struct str){ body.p, CONTROL_PART });
        body.p += CONTROL_PART;
        body.n -= CONTROL_PART;
    }
    frame_put(out, kind, body);
}

void
control_put_exit(struct buf *out, int status)
{
    char byte = (char)status;

    frame_put(out, CONTROL_EXIT, (struct str){ &byte, 1 });
}

int
control_put_request(struct buf *out, const struct control_request *rq)
{
    uint8_t version = CONTROL_VERSION, flags = rq->json;
    uint32_t n_args = (uint32_t)rq->n_args;
    struct buf body = { 0 };
    int r = 0;

    buf_add(&body, &version, 1);
    buf_add(&body, &flags, 1);
    buf_add(&body, &rq->api_version, 2);
    buf_add(&body, &rq->timeout_ms, 4);
    buf_add(&body, &n_args, 4);
    for (size_t i = 0; i < rq->n_args; i++) {
        uint32_t n = (uint32_t)rq->arg[i].n;

        buf_add(&body, &n, 4);
        buf_add_str(&body, rq->arg[i]);
    }
    if (body.n > CONTROL_BODY_MAX || rq->n_args > CONTROL_ARGS_MAX)
        r = -E2BIG;
    else
        frame_put(out, CONTROL_REQUEST, buf_str(&body));
    buf_fini(&body);
    return r;
}

static bool
kind_is_known(char kind)
{
    return kind == CONTROL_REQUEST || kind == CONTROL_OUT || kind == CONTROL_ERR ||
           kind == CONTROL_EXIT;
}

int
control_take(struct str *bytes, struct control_frame *ret_frame)
{
    uint32_t n;

    if (bytes->n < CONTROL_HEADER)
        return 0;
    memcpy(&n, bytes->p, sizeof n);
    if (n > CONTROL_BODY_MAX || !kind_is_known(bytes->p[4]))
        return -EBADMSG;
    if (bytes->n - CONTROL_HEADER < n)
        return 0;
    *ret_frame =
            (struct control_frame){ bytes->p[4], { bytes->p + CONTROL_HEADER, n } };
    if (ret_frame->kind == CONTROL_EXIT && n != 1)
        return -EBADMSG;
    bytes->p += CONTROL_HEADER + n;
    bytes->n -= CONTROL_HEADER + n;
    return 1;
}

int
control_get_request(struct str body, struct control_request *ret_request)
{
    struct control_request rq = { 0 };
    uint32_t n_args;

    if (body.n < REQUEST_HEADER || body.p[0] != CONTROL_VERSION)
        return -EBADMSG;
    rq.json = body.p[1] & 1;
    memcpy(&rq.api_version, body.p + 2, 2);
    memcpy(&rq.timeout_ms, body.p + 4, 4);
    memcpy(&n_args, body.p + 8, 4);
    if (n_args == 0 || n_args > CONTROL_ARGS_MAX)
        return -EBADMSG;
    body.p += REQUEST_HEADER;
    body.n -= REQUEST_HEADER;
    for (; rq.n_args < n_args; rq.n_args++) {
        uint32_t n;

        if (body.n < sizeof n)
            return -EBADMSG;
        memcpy(&n, body.p, sizeof n);
        body.p += sizeof n;
        body.n -= sizeof n;
        if (n > body.n)
            return -EBADMSG;
        rq.arg[rq.n_args] = (struct str){ body.p, n };
        body.p += n;
        body.n -= n;
    }
    if (body.n > 0)
        return -EBADMSG;
    *ret_request = rq;
    return 0;
}
