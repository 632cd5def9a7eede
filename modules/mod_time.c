/*
 * mod_time.c -- the time of the server (XEP-0202)
 */
#include "worker/module.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "xmpp/datetime.h"

enum {
    STEP_TIME
};

/* "+01:00": what the server's clock on the wall says, in its time zone. */
static void
write_offset(struct buf *out, time_t now)
{
    struct tm local;
    long minutes = localtime_r(&now, &local) ? local.tm_gmtoff / 60 : 0;

    buf_addf(out, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', labs(minutes) / 60,
            labs(minutes) % 60);
}

static void
answer(struct job *j, const struct sql_result *result)
{
    struct xml_el *reply = job_result(j, "time", NS_TIME);
    int64_t now_us = (int64_t)clock_wall_us();
    struct buf text = { 0 };

    (void)result;
    write_offset(&text, (time_t)(now_us / 1000000));
    xml_add_leaf(reply, "tzo", NULL, str_dup(j->arena, buf_str(&text)));
    xml_add_leaf(reply, "utc", NULL, datetime_text(j->arena, now_us, 0));
    buf_fini(&text);
    job_send_result(j, reply);
}

static const job_fn steps[] = { [STEP_TIME] = answer };

static const struct module_iq iqs[] = {
    { NS_TIME, "time", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, STEP_TIME },
    { 0 },
};

static const char *const features[] = { NS_TIME, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_time",
    .doc = "The time (XEP-0202)",
    .features = features,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
