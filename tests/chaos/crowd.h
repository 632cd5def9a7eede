#ifndef CHAOS_CROWD_H
#define CHAOS_CROWD_H

#include "tests/chaos/client.h"

/*
 * The crowd: clients of one server that keep books of what they say to each other and
 * of what they are told. crowd.c has the clock and the commands, person.c what one of
 * them says and hears, sm.c XEP-0198 from the client's side, check.c the books.
 *
 * Person i talks with i^1 and with the one half around the circle; both are contacts.
 * A part of them, by index, moves from connection to connection (XEP-0198), has an
 * archive (XEP-0313), or visits: a short session, again and again, with one contact.
 */
enum {
    TALKS = 3,
    CONTACTS = 2,
    PROBES = 8,            /* the first persons' first talks are quick: they see gaps */
    PROBE_US = 10 * 1000,  /* between two messages of theirs */
    WINDOW = 8,            /* messages of one talk under way */
    STALLED_US = 4000000,  /* then more is sent though nothing comes */
    BUCKET_US = 10 * 1000, /* of the record of gaps */
    JID_SIZE = 96
};

/* Numbered messages from one to another. */
struct talk {
    int to;
    bool to_bare;        /* to the account, not to the resource */
    uint32_t sent, last; /* the highest number that has come */
    uint32_t acked;      /* and that the server has acknowledged (XEP-0198) */
    uint64_t next_us, interval_us, heard_us;
    uint32_t *missing; /* numbers below last that have not come */
    size_t n_missing, missing_size;
};

enum kind {
    STAYS,
    MOVES,
    VISITS
};

/* What was sent and is not acknowledged. */
struct unacked {
    struct unacked *next;
    int talk; /* -1: no message */
    uint32_t number;
    size_t n;
    char text[];
};

/* Whom somebody sees. */
struct seen {
    char jid[JID_SIZE];
    uint32_t number;
};

struct person {
    struct client client;
    enum kind kind;
    bool wants_sm, wants_archive;
    bool is_online;   /* has a session and a connection */
    bool was_online;  /* since connect: its end is a loss */
    bool is_deaf;     /* hears nothing any more, and moves soon */
    bool is_leaving;  /* has closed its stream */
    bool is_expected; /* its connection ends because it wishes so */
    int n_talks, n_contacts, contact[CONTACTS];
    bool subscribed[CONTACTS];
    struct talk talk[TALKS];
    uint32_t presence, n_visits;
    uint64_t presence_us, roster_us, leave_us, retry_us;
    uint32_t name_set, name_answered, name_pushed; /* of an entry of its roster */
    struct seen *seen;
    size_t n_seen, seen_size;
    /* XEP-0198 */
    bool sm_on, sm_resuming;
    char sm_id[64];
    uint32_t sm_in, sm_out, sm_acked;
    struct unacked *unacked, **unacked_end;
};

/* What went wrong, and what there was. */
struct books {
    uint64_t messages, presences, names, logins, resumed;
    uint64_t connections_lost, sessions_lost, logins_failed;
    uint64_t lost, repeated, late, bounced, acked_lost;
    uint64_t presence_wrong, presence_back, roster_wrong, push_repeated, never_online;
};

struct bucket {
    uint32_t gap_us, latency_us, n;
};

struct crowd {
    struct client_site site;
    int port, port_tls, n, n_tls, n_visitors;
    bool to_visitors; /* they are written to, whether they are there or not */
    double rate;      /* messages a second, of all but the probes */
    double pace;      /* of all else: 2 is twice as often */
    struct person *person;
    struct books books;
    bool going;   /* new messages are sent */
    bool leaving; /* nobody comes any more */
    uint64_t started_us;
    struct bucket *bucket;
    size_t n_buckets;
    uint64_t seed;
};

extern struct crowd crowd;

/* A violation: one line for the reader of our output. */
void violation(const struct person *p, const char *what, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
uint32_t some(uint32_t n); /* a random number below n */
int crowd_all(void);       /* persons and visitors */

/* person.c */
void person_init(struct person *p, int i);
void person_come(struct person *p);
void person_turn(struct person *p, uint64_t now_us);
void person_on_online(struct client *c);
void person_on_text(struct client *c);
void person_on_lost(struct client *c, const char *why);
/* A stanza of its own; talk -1: no message. */
void person_say(struct person *p, const char *text, int talk, uint32_t number);
void person_flush(struct person *p);

/* stanza.c: the first element in n bytes; 0: it is not complete. */
size_t stanza_end(const char *p, size_t n);
/* The value of an attribute of its first tag; "" if there is none. */
const char *stanza_attr(const char *p, size_t n, const char *name);

/* sm.c */
void sm_enable(struct person *p);
void sm_sent(struct person *p, const char *text, int talk, uint32_t number);
void sm_prepare_resume(struct person *p);
void sm_on_nonza(struct person *p, const char *el, size_t n);
void sm_forget(struct person *p);

/* check.c */
void check_message(struct person *p, const char *el, size_t n);
void check_presence(
        struct person *p, const char *from, bool available, uint32_t number);
bool check_is_quiet(void); /* all has come */
void check_settled(void);  /* what has not is counted; begins anew */
void check_print(const char *event);
void check_write(const char *path);

#endif
