/*
 * control.c -- fuzzes what stanzactl and the admin process read from the control socket
 *
 * The bytes are taken once as what a client sends: frames, a request, a command with
 * its arguments; and once as arguments of `help`, so that the table's look-ups see them
 * too.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "admin/command.h"
#include "admin/control.h"
#include "admin/help.h"
#include "admin/json.h"
#include "admin/result.h"

enum {
    INPUT_MAX = 16 * 1024
};

static void
run(const struct control_request *rq)
{
    const struct command *c = command_find(rq->arg[0], rq->api_version);
    struct buf text = { 0 };
    struct result r;

    assert(command_nearest(rq->arg[0]));
    if (!c) {
        buf_fini(&text);
        return;
    }
    result_begin(&r, c, rq->json);
    if (command_check(c, rq->arg + 1, rq->n_args - 1, &text) < 0) {
        assert(text.n > 0);
        result_error(&r, "invalid", 0, "%s", buf_c(&text));
    } else if (c->n_fields > 0 && c->n_fields <= CONTROL_ARGS_MAX) {
        struct str cell[CONTROL_ARGS_MAX];

        for (size_t i = 0; i < c->n_fields; i++)
            cell[i] = i < rq->n_args ? rq->arg[i] : STR_NULL;
        result_row(&r, cell);
        result_end(&r);
    }
    result_fini(&r);
    buf_fini(&text);
}

/* What was understood comes out the same when it is written and read again. */
static void
round_trip(const struct control_request *rq)
{
    struct control_request again;
    struct control_frame frame;
    struct buf bytes = { 0 };
    struct str rest;

    assert(control_put_request(&bytes, rq) == 0);
    rest = buf_str(&bytes);
    assert(control_take(&rest, &frame) == 1 && frame.kind == CONTROL_REQUEST);
    assert(control_get_request(frame.body, &again) == 0);
    assert(again.n_args == rq->n_args && again.json == rq->json);
    for (size_t i = 0; i < rq->n_args; i++)
        assert(str_eq(again.arg[i], rq->arg[i]));
    buf_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = { (const char *)data, size }, all = rest;
    struct control_request request;
    struct control_frame frame;
    struct buf text = { 0 };

    if (size > INPUT_MAX)
        return 0;
    while (control_take(&rest, &frame) == 1)
        if (frame.kind == CONTROL_REQUEST &&
                control_get_request(frame.body, &request) == 0) {
            round_trip(&request);
            run(&request);
        }
    help_write(&text, all, COMMAND_API_LATEST);
    buf_reset(&text, 4096);
    json_string(&text, all);
    assert(str_is_utf8(buf_str(&text)));
    buf_fini(&text);
    return 0;
}
