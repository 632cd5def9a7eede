/*
 * subscription.c -- the tables of RFC 6121, appendix A
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/subscription.h"

/*
 * As the RFC prints them: existing state, whether it goes on, new state ("" for none).
 * MUST and, of a table's note, what the server replies; SN: should not; MN: must not.
 */
enum rfc {
    MUST,
    SN,
    MN,
    MUST_REPLY,
    SN_REPLY,
    APPROVE,      /* MUST NOT, and "pre-approval" */
    SN_DISAPPROVE /* SHOULD NOT; cancels a pre-approval, and MUST NOT then (3.2.2) */
};

struct row {
    const char *before;
    enum rfc rule;
    const char *now;
};

static const struct row outbound_subscribe[] = {
    /* table 2 */
    { "None", MUST, "None + Pending Out" },
    { "None + Pending Out", MUST, "" },
    { "None + Pending In", MUST, "None + Pending Out+In" },
    { "None + Pending Out+In", MUST, "" },
    { "To", MUST, "" },
    { "To + Pending In", MUST, "" },
    { "From", MUST, "From + Pending Out" },
    { "From + Pending Out", MUST, "" },
    { "Both", MUST, "" },
};

static const struct row outbound_unsubscribe[] = {
    /* table 3 */
    { "None", MUST, "" },
    { "None + Pending Out", MUST, "None" },
    { "None + Pending In", MUST, "" },
    { "None + Pending Out+In", MUST, "None + Pending In" },
    { "To", MUST, "None" },
    { "To + Pending In", MUST, "None + Pending In" },
    { "From", MUST, "" },
    { "From + Pending Out", MUST, "From" },
    { "Both", MUST, "From" },
};

static const struct row outbound_subscribed[] = {
    /* table 4 */
    { "None", APPROVE, "" },
    { "None + Pending Out", APPROVE, "" },
    { "None + Pending In", MUST, "From" },
    { "None + Pending Out+In", MUST, "From + Pending Out" },
    { "To", APPROVE, "" },
    { "To + Pending In", MUST, "Both" },
    { "From", MN, "" },
    { "From + Pending Out", MN, "" },
    { "Both", MN, "" },
};

static const struct row outbound_unsubscribed[] = {
    /* table 5 */
    { "None", SN_DISAPPROVE, "" },
    { "None + Pending Out", SN_DISAPPROVE, "" },
    { "None + Pending In", MUST, "None" },
    { "None + Pending Out+In", MUST, "None + Pending Out" },
    { "To", SN_DISAPPROVE, "" },
    { "To + Pending In", MUST, "To" },
    { "From", MUST, "None" },
    { "From + Pending Out", MUST, "None + Pending Out" },
    { "Both", MUST, "To" },
};

static const struct row inbound_subscribe[] = {
    /* table 6 */
    { "None", MUST, "None + Pending In" },
    { "None + Pending Out", MUST, "None + Pending Out+In" },
    { "None + Pending In", SN, "" },
    { "None + Pending Out+In", SN, "" },
    { "To", MUST, "To + Pending In" },
    { "To + Pending In", SN, "" },
    { "From", SN_REPLY, "" },
    { "From + Pending Out", SN_REPLY, "" },
    { "Both", SN_REPLY, "" },
};

static const struct row inbound_unsubscribe[] = {
    /* table 7 */
    { "None", SN, "" },
    { "None + Pending Out", SN, "" },
    { "None + Pending In", MUST_REPLY, "None" },
    { "None + Pending Out+In", MUST_REPLY, "None + Pending Out" },
    { "To", SN, "" },
    { "To + Pending In", MUST_REPLY, "To" },
    { "From", MUST_REPLY, "None" },
    { "From + Pending Out", MUST_REPLY, "None + Pending Out" },
    { "Both", MUST_REPLY, "To" },
};

static const struct row inbound_subscribed[] = {
    /* table 8 */
    { "None", SN, "" },
    { "None + Pending Out", MUST, "To" },
    { "None + Pending In", SN, "" },
    { "None + Pending Out+In", MUST, "To + Pending In" },
    { "To", SN, "" },
    { "To + Pending In", SN, "" },
    { "From", SN, "" },
    { "From + Pending Out", MUST, "Both" },
    { "Both", SN, "" },
};

static const struct row inbound_unsubscribed[] = {
    /* table 9 */
    { "None", SN, "" },
    { "None + Pending Out", MUST, "None" },
    { "None + Pending In", SN, "" },
    { "None + Pending Out+In", MUST, "None + Pending In" },
    { "To", MUST, "None" },
    { "To + Pending In", MUST, "None + Pending In" },
    { "From", SN, "" },
    { "From + Pending Out", MUST, "From" },
    { "Both", MUST, "From" },
};

static void
check_outbound(const struct row rows[], enum presence_type type)
{
    for (unsigned i = 0; i < SUBSCRIPTION_STATES; i++) {
        const struct row *row = &rows[i];
        struct subscription before = item(state_by_name(row->before));
        struct subscription_result r = subscription_outbound(before, type);
        const char *now = *row->now ? row->now : row->before;

        if (r.now.state != state_by_name(now) ||
                !(r.acts & SUBSCRIPTION_ROUTE) != (row->rule != MUST) ||
                r.now.approved != (row->rule == APPROVE) ||
                (r.acts & (SUBSCRIPTION_DELIVER | SUBSCRIPTION_KEEP |
                                  SUBSCRIPTION_SEND_SUBSCRIBED |
                                  SUBSCRIPTION_SEND_UNSUBSCRIBE |
                                  SUBSCRIPTION_SEND_UNSUBSCRIBED)))
            fail_msg("%s in %s: %s, %x", presence_type_name(type), row->before,
                    subscription_state_name((enum subscription_state)r.now.state),
                    r.acts);
        /* The same with an approval in advance (3.2.2, 3.4) */
        before.approved = true;
        r = subscription_outbound(before, type);
        if (r.now.state != state_by_name(now) ||
                !(r.acts & SUBSCRIPTION_ROUTE) != (row->rule != MUST) ||
                r.now.approved != (type != PRESENCE_UNSUBSCRIBED))
            fail_msg("%s in %s, approved", presence_type_name(type), row->before);
        if (row->rule == SN_DISAPPROVE &&
                r.acts != (SUBSCRIPTION_WRITE | SUBSCRIPTION_PUSH))
            fail_msg("%s in %s, approved: %x", presence_type_name(type), row->before,
                    r.acts);
    }
}

static void
check_inbound(const struct row rows[], enum presence_type type, unsigned reply)
{
    for (unsigned i = 0; i < SUBSCRIPTION_STATES; i++) {
        const struct row *row = &rows[i];
        struct subscription before = item(state_by_name(row->before));
        struct subscription_result r = subscription_inbound(before, type);
        const char *now = *row->now ? row->now : row->before;
        bool deliver = row->rule == MUST || row->rule == MUST_REPLY;
        bool replied = row->rule == SN_REPLY || row->rule == MUST_REPLY;

        if (r.now.state != state_by_name(now) || r.now.approved ||
                !(r.acts & SUBSCRIPTION_DELIVER) == deliver ||
                (r.acts &
                        (SUBSCRIPTION_SEND_SUBSCRIBED | SUBSCRIPTION_SEND_UNSUBSCRIBED |
                                SUBSCRIPTION_SEND_UNSUBSCRIBE)) !=
                        (replied ? reply : 0) ||
                !(r.acts & SUBSCRIPTION_KEEP) ==
                        (type == PRESENCE_SUBSCRIBE && deliver) ||
                (r.acts & SUBSCRIPTION_ROUTE))
            fail_msg("%s in %s: %s, %x", presence_type_name(type), row->before,
                    subscription_state_name((enum subscription_state)r.now.state),
                    r.acts);
        before.approved = true;
        r = subscription_inbound(before, type);
        if (!r.now.approved)
            fail_msg("%s in %s, approved", presence_type_name(type), row->before);
        if (type != PRESENCE_SUBSCRIBE && r.now.state != state_by_name(now))
            fail_msg("%s in %s, approved", presence_type_name(type), row->before);
    }
}

/* RFC 6121, appendix A.2 */
static void
outbound(void **state)
{
    (void)state;
    check_outbound(outbound_subscribe, PRESENCE_SUBSCRIBE);
    check_outbound(outbound_unsubscribe, PRESENCE_UNSUBSCRIBE);
    check_outbound(outbound_subscribed, PRESENCE_SUBSCRIBED);
    check_outbound(outbound_unsubscribed, PRESENCE_UNSUBSCRIBED);
}

/* RFC 6121, appendix A.3 */
static void
inbound(void **state)
{
    (void)state;
    check_inbound(inbound_subscribe, PRESENCE_SUBSCRIBE, SUBSCRIPTION_SEND_SUBSCRIBED);
    check_inbound(
            inbound_unsubscribe, PRESENCE_UNSUBSCRIBE, SUBSCRIPTION_SEND_UNSUBSCRIBED);
    check_inbound(inbound_subscribed, PRESENCE_SUBSCRIBED, 0);
    check_inbound(inbound_unsubscribed, PRESENCE_UNSUBSCRIBED, 0);
}

/* A request of a contact that was approved in advance (3.4.2) */
static void
approved_in_advance(void **state)
{
    static const struct {
        const char *before, *now;
    } rows[] = {
        { "None", "From" },
        { "None + Pending Out", "From + Pending Out" },
        { "None + Pending In", "From" },
        { "None + Pending Out+In", "From + Pending Out" },
        { "To", "Both" },
        { "To + Pending In", "Both" },
        { "From", "From" },
        { "From + Pending Out", "From + Pending Out" },
        { "Both", "Both" },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct subscription before = item(state_by_name(rows[i].before));
        struct subscription_result r;
        unsigned want = SUBSCRIPTION_SEND_SUBSCRIBED | SUBSCRIPTION_SEND_PRESENCE;

        before.approved = true;
        r = subscription_inbound(before, PRESENCE_SUBSCRIBE);
        if (strcmp(rows[i].before, rows[i].now) != 0)
            want |= SUBSCRIPTION_WRITE | SUBSCRIPTION_PUSH;
        if (r.now.state != state_by_name(rows[i].now) || r.acts != want)
            fail_msg("%s: %x", rows[i].before, r.acts);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outbound),
        cmocka_unit_test(inbound),
        cmocka_unit_test(approved_in_advance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
