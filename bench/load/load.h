#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/load/client.h"
#include "bench/load/latency.h"

enum tls_mode {
    TLS_NONE,
    TLS_STARTTLS,
    TLS_DIRECT
};

/* What the command line says; the same in all processes. */
struct options {
    const char *address, *domain;
    int port, first, n_clients, n_accounts, n_processes, seconds, settle_s, rate,
            max_ops;
    int server_pid; /* whose CPU time and memory are measured; 0: nobody's */
    enum tls_mode tls;
    bool sm;   /* XEP-0198 */
    bool drop; /* OpenSSL's state goes after the handshake: see record.h */
    bool check, table;
};

/* What one process found, in memory that the first one sees. */
struct result {
    uint64_t n_ops;              /* until the time was over */
    uint64_t n_lost, n_repeated; /* messages between two clients */
    uint64_t n_open;             /* what is still waited for at the end */
    double until_s, total_s;     /* how long the counting and all of it took */
    struct latency latency;
};

/* One process of the generator: clients [first, end). */
struct load {
    const struct options *opt;
    const struct scenario *scenario;
    struct result *result;
    struct client *client; /* by index - first */
    int first, end;
    int epoll_fd;
    int n_online, n_connecting;
    bool running, leaving;
    uint64_t start_us, until_us;
};

extern struct load load;

struct client *load_client(int index); /* NULL when it is not of this process */
void load_each(void (*fn)(struct client *c));
uint64_t load_unanswered(void); /* how many have received less than they have sent */

/*
 * Rows of scenario.def. All of it runs in each process; functions may be NULL.
 *
 * begin    the time starts: send the first
 * element  one came for a client that is online
 * tick     called after each turn of the loop; returns when to be called again, at the
 *          latest (UINT64_MAX: whenever something comes)
 * end      the time is over: nothing new from now on
 * open     how much is still waited for; 0 ends it
 * online, closed   a client has logged in, or its stream has ended (else an error)
 */
struct scenario {
    const char *name, *doc;
    void (*begin)(void);
    void (*element)(struct client *c, struct str name, struct str element);
    uint64_t (*tick)(uint64_t now_us);
    void (*end)(void);
    uint64_t (*open)(void);
    void (*online)(struct client *c);
    void (*closed)(struct client *c);
    bool late; /* nobody is logged in before begin() */
};

#define SCENARIO(id, text) extern const struct scenario scenario_##id;
#include "bench/load/scenario.def"
#undef SCENARIO

void die(const char *what) __attribute__((noreturn));

#endif
