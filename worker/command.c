/*
 * command.c -- requests and answers of ad-hoc commands (XEP-0050)
 *
 * Nothing is kept between two stages. The id of a session says itself which stage comes
 * next, what may be done there, and when it was made; a code that only the service can
 * make binds it to the command and to the client. So there is nothing to fill up, and
 * nothing that a death could lose. A stage may be repeated by the client for which it
 * was made: that is the same as beginning again with the same words.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "worker/jobs.h"
#include "worker/worker.h"
#include "xmpp/form.h"

enum {
    SESSION_MAX_S = 60 * 60,
    ID_SIZE = 96,
    LANG_MAX = 35
};

enum {
    ACTION_EXECUTE = 1 << 3,
    ACTION_CANCEL = 1 << 4
};

/* What an id says. */
struct session {
    unsigned stage, actions, usual;
    uint64_t made_s;
};

static const struct {
    const char *name;
    unsigned action;
} action_names[] = {
    { "next", COMMAND_NEXT },
    { "prev", COMMAND_PREV },
    { "complete", COMMAND_COMPLETE },
    { "execute", ACTION_EXECUTE },
    { "cancel", ACTION_CANCEL },
};

static const char *
action_name(unsigned action)
{
    size_t i = 0;

    while (action_names[i].action != action)
        i++;
    return action_names[i].name;
}

/* --- Ids --- */

static uint64_t
code(const struct job *j, struct str text, uint64_t which)
{
    struct hash_key key;

    memcpy(key.k, j->w->proc->secret, sizeof key.k);
    key.k[0] ^= which;
    return hash_bytes(&key, text.p, text.n);
}

static void
id_write(const struct job *j, struct str node, const struct session *s, struct buf *out)
{
    struct buf bound = { 0 };
    char text[ID_SIZE];

    snprintf(text, sizeof text, "%x-%x-%x-%llx", s->stage, s->actions, s->usual,
            (unsigned long long)s->made_s);
    buf_addf(&bound, "adhoc %s %zu %.*s ", text, node.n, STR_ARG(node));
    jid_write(&bound, &j->to);
    buf_add_char(&bound, ' ');
    jid_write(&bound, &j->from);
    buf_addf(out, "%s-%016llx%016llx", text,
            (unsigned long long)code(j, buf_str(&bound), 0x61),
            (unsigned long long)code(j, buf_str(&bound), 0x62));
    buf_fini(&bound);
}

/* The next number of an id; whether it is one of ours will be compared as a whole. */
static bool
id_number(const char **at, uint64_t *ret)
{
    char *end;

    *ret = strtoull(*at, &end, 16);
    if (end == *at || *end != '-')
        return false;
    *at = end + 1;
    return true;
}

static enum command_error
id_read(const struct job *j, struct str node, struct str id, struct session *ret)
{
    struct session s;
    struct buf ours = { 0 };
    char text[ID_SIZE];
    const char *at = text;
    uint64_t stage, actions, usual, now = clock_wall_us() / 1000000;
    bool same;

    if (id.n >= sizeof text)
        return COMMAND_BAD_SESSIONID;
    memcpy(text, id.p, id.n);
    text[id.n] = '\0';
    if (!id_number(&at, &stage) || !id_number(&at, &actions) ||
            !id_number(&at, &usual) || !id_number(&at, &s.made_s))
        return COMMAND_BAD_SESSIONID;
    s.stage = (unsigned)stage;
    s.actions = (unsigned)actions;
    s.usual = (unsigned)usual;
    id_write(j, node, &s, &ours);
    same = str_eq_secret(buf_str(&ours), id);
    buf_fini(&ours);
    if (!same)
        return COMMAND_BAD_SESSIONID;
    if (now > s.made_s + SESSION_MAX_S)
        return COMMAND_SESSION_EXPIRED;
    *ret = s;
    return COMMAND_OK;
}

/* --- Requests --- */

/* 0: no such action. */
static unsigned
action_of(const struct xml_el *command)
{
    struct str text = xml_attr(command, "action");

    if (!text.p)
        return ACTION_EXECUTE;
    for (size_t i = 0; i < ARRAY_LEN(action_names); i++) {
        if (str_eq_c(text, action_names[i].name))
            return action_names[i].action;
    }
    return 0;
}

/* A language tag (RFC 5646), as far as letters go: we answer all in the same one. */
static bool
is_language(struct str tag)
{
    size_t run = 0;

    if (tag.n == 0)
        return true;
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];

        if (c == '-') {
            if (run == 0)
                return false;
            run = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   (c >= '0' && c <= '9')) {
            if (++run > 8)
                return false;
        } else {
            return false;
        }
    }
    return run > 0 && tag.n <= LANG_MAX;
}

/* At most one form, and a sound one. */
static enum command_error
form_read(const struct xml_el *command, struct xml_el **ret)
{
    struct xml_el *x = xml_child(command, "x", NS_DATA);
    enum form_type type;

    *ret = NULL;
    if (!x)
        return COMMAND_OK;
    if (xml_next(x, "x", NS_DATA) || form_check(x, &type) < 0 ||
            (type != FORM_SUBMIT && type != FORM_CANCEL))
        return COMMAND_BAD_PAYLOAD;
    if (type == FORM_SUBMIT)
        *ret = x;
    return COMMAND_OK;
}

static bool
is_one_action(unsigned action)
{
    return action == COMMAND_NEXT || action == COMMAND_PREV ||
           action == COMMAND_COMPLETE;
}

/*
 * Without a session: it begins, or what would be the first form is submitted at once,
 * as clients do that know the command.
 */
static enum command_error
begin_read(unsigned action, struct command_call *ret)
{
    if (action == ACTION_CANCEL || action == COMMAND_PREV || action == COMMAND_NEXT ||
            (action == COMMAND_COMPLETE && !ret->form))
        return COMMAND_BAD_ACTION;
    ret->action = COMMAND_COMPLETE;
    return COMMAND_OK;
}

enum command_error
command_read(const struct job *j, struct command_call *ret, bool *ret_canceled)
{
    struct str id = xml_attr(j->payload, "sessionid"),
               lang = xml_attr_ns(j->payload, "lang", XML_NS);
    unsigned action = action_of(j->payload);
    struct session s = { 0 };
    enum command_error e;

    *ret = (struct command_call){ .node = xml_attr(j->payload, "node") };
    *ret_canceled = false;
    if (!action)
        return COMMAND_MALFORMED_ACTION;
    if (!is_language(lang))
        return COMMAND_BAD_LOCALE;
    e = form_read(j->payload, &ret->form);
    if (e != COMMAND_OK)
        return e;
    if (!id.n)
        return begin_read(action, ret);
    e = id_read(j, ret->node, id, &s);
    if (e != COMMAND_OK)
        return e;
    ret->stage = s.stage;
    if (action == ACTION_CANCEL) {
        *ret_canceled = true;
        return COMMAND_OK;
    }
    if (action == ACTION_EXECUTE)
        action = s.usual;
    if (!(action & s.actions) || !is_one_action(action))
        return COMMAND_BAD_ACTION;
    ret->action = (enum command_action)action;
    return COMMAND_OK;
}

struct command_call
command_call(const struct job *j)
{
    struct command_call call;
    bool canceled;

    command_read(j, &call, &canceled);
    return call;
}

/* --- Answers --- */

static struct xml_el *
answer(struct job *j, const char *status, struct str id)
{
    struct xml_el *command = job_result(j, "command", NS_COMMANDS);

    xml_set(command, "node", str_dup(j->arena, xml_attr(j->payload, "node")));
    if (id.n)
        xml_set(command, "sessionid", id);
    xml_set_c(command, "status", status);
    return command;
}

struct xml_el *
command_executing(
        struct job *j, unsigned stage, unsigned actions, enum command_action usual)
{
    struct session s = { stage, actions, usual, clock_wall_us() / 1000000 };
    struct buf id = { 0 };
    struct xml_el *command, *list;

    id_write(j, xml_attr(j->payload, "node"), &s, &id);
    command = answer(j, "executing", str_dup(j->arena, buf_str(&id)));
    buf_fini(&id);
    list = xml_add(command, "actions", NULL);
    xml_set_c(list, "execute", action_name(usual));
    for (unsigned a = COMMAND_NEXT; a <= COMMAND_COMPLETE; a <<= 1) {
        if (actions & a)
            xml_add(list, action_name(a), NULL);
    }
    return command;
}

struct xml_el *
command_ended(struct job *j, bool canceled)
{
    struct str id = xml_attr(j->payload, "sessionid");

    if (!id.n)
        id = STR("done"); /* XEP-0050, 3.3: all answers have one */
    return answer(j, canceled ? "canceled" : "completed", str_dup(j->arena, id));
}

void
command_note(struct xml_el *command, const char *type, struct str text)
{
    xml_set_c(xml_add_leaf(command, "note", NULL, text), "type", type);
}

void
command_fail(struct job *j, enum command_error e)
{
    static const char *const names[] = {
        [COMMAND_OK] = NULL,
        [COMMAND_MALFORMED_ACTION] = "malformed-action",
        [COMMAND_BAD_ACTION] = "bad-action",
        [COMMAND_BAD_LOCALE] = "bad-locale",
        [COMMAND_BAD_PAYLOAD] = "bad-payload",
        [COMMAND_BAD_SESSIONID] = "bad-sessionid",
        [COMMAND_SESSION_EXPIRED] = "session-expired",
    };
    enum stanza_error condition = e == COMMAND_SESSION_EXPIRED
                                          ? STANZA_ERROR_NOT_ALLOWED
                                          : STANZA_ERROR_BAD_REQUEST;
    struct xml_el *reply =
            stanza_reply_error(j->arena, j->el, condition, ERROR_TYPE_DEFAULT, NULL);

    if (!reply)
        return;
    xml_add(xml_child(reply, "error", NULL), names[e], NS_COMMANDS);
    worker_count(j->w, COUNTER_STANZAS_BOUNCED, 1);
    job_reply(j, reply);
}
