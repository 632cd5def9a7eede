/*
 * main.c -- many XMPP clients, to measure a server
 *
 * Client i logs in as bench<i % ACCOUNTS>@DOMAIN with the password "bench" by
 * SCRAM-SHA-1, binds the resource r<i>, asks for its roster and sends presence. Then
 * scenario.def. The clients are spread over processes (-j), since one may have a
 * limited number of descriptors.
 *
 * This process only says what the others do when, measures the server meanwhile, and
 * prints: "ready" when all are online, "start" and "stop" around the measured time, and
 * at last a line of JSON, or with -o table something for the eye.
 *
 * It understands just as much XML as it needs (cut.h): it is a client of servers that
 * are ours to measure, on loopback.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/load/generator.h"
#include "bench/load/load.h"
#include "bench/load/proc.h"

static const struct scenario *const scenarios[] = {
#define SCENARIO(id, text) &scenario_##id,
#include "bench/load/scenario.def"
#undef SCENARIO
};
static const char *const names[] = {
#define SCENARIO(id, text) #id,
#include "bench/load/scenario.def"
#undef SCENARIO
};
static const char *const docs[] = {
#define SCENARIO(id, text) text,
#include "bench/load/scenario.def"
#undef SCENARIO
};
enum {
    N_SCENARIOS = sizeof names / sizeof *names
};

static struct options opt = { .address = "127.0.0.1",
    .domain = "localhost",
    .port = 5222,
    .n_clients = 200,
    .n_accounts = 200,
    .n_processes = 1,
    .seconds = 10,
    .settle_s = 1,
    .tls = TLS_STARTTLS };

static struct {
    int fd;
    pid_t pid;
} child[256];
static struct result *results;
static struct proc_tree at_first, at_start, at_stop;

static void
help(FILE *out)
{
    fprintf(out,
            "usage: load [-cDm] [-h ADDRESS] [-p PORT] [-t none|starttls|direct] [-d "
            "DOMAIN]\n"
            "            [-n CLIENTS] [-a ACCOUNTS] [-j PROCESSES] [-s SECONDS] [-w "
            "SECONDS]\n"
            "            [-i FIRST] [-r RATE] [-N OPERATIONS] [-P PID] [-o json|table] "
            "SCENARIO\n\n"
            "  -n, -a   so many clients of so many accounts: bench0 ..., password "
            "bench\n"
            "  -i       the number of the first client, for generators side by side; "
            "even\n"
            "  -j       spread over so many processes of the generator\n"
            "  -t       direct: TLS from the first byte\n"
            "  -D       after the TLS handshake OpenSSL's state is dropped, records "
            "are ours\n"
            "  -m       with stream management (XEP-0198)\n"
            "  -s, -w   measure for so many seconds, so many after the last log-in\n"
            "  -N       not more than so many operations, of each process\n"
            "  -r       what is limited to RATE a second depends on the scenario\n"
            "  -c       idle: afterwards every client sends and receives a message\n"
            "  -P       the server: CPU time and memory of this process and its "
            "descendants\n\n"
            "Scenarios:\n");
    for (int i = 0; i < N_SCENARIOS; i++)
        fprintf(out, "  %-9s%s\n", names[i], docs[i]);
}

static void
tell_all(char what)
{
    for (int i = 0; i < opt.n_processes; i++)
        if (send(child[i].fd, &what, 1, MSG_NOSIGNAL) != 1)
            exit(1); /* it has said why */
}

static void
await_all(char what)
{
    for (int i = 0; i < opt.n_processes; i++) {
        char c;

        if (read(child[i].fd, &c, 1) != 1 || c != what)
            exit(1);
    }
}

static void
say(const char *text)
{
    if (opt.table)
        return;
    printf("%s\n", text);
    fflush(stdout);
}

static void
start_processes(const struct scenario *s)
{
    int pairs = opt.n_clients / 2, n = opt.n_processes;

    results = mmap(NULL, (size_t)n * sizeof *results, PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED)
        die(strerror(errno));
    for (int i = 0; i < n; i++) {
        int fd[2],
                first = opt.first + 2 * (int)((long)pairs * i / n),
                end = opt.first + (i == n - 1 ? opt.n_clients
                                              : 2 * (int)((long)pairs * (i + 1) / n));

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
            die(strerror(errno));
        child[i].pid = fork();
        if (child[i].pid < 0)
            die(strerror(errno));
        if (child[i].pid == 0) {
            close(fd[0]);
            generator(&opt, s, first, end, fd[1], &results[i]);
        }
        close(fd[1]);
        child[i].fd = fd[0];
    }
}

static struct result *
sum_results(void)
{
    static struct result total;
    struct result *sum = &total;

    for (int i = 0; i < opt.n_processes; i++) {
        const struct result *r = &results[i];

        sum->n_ops += r->n_ops;
        sum->n_lost += r->n_lost;
        sum->n_repeated += r->n_repeated;
        sum->n_open += r->n_open;
        sum->until_s = r->until_s > sum->until_s ? r->until_s : sum->until_s;
        sum->total_s = r->total_s > sum->total_s ? r->total_s : sum->total_s;
        latency_merge(&sum->latency, &r->latency);
    }
    return sum;
}

static double
per(double what, double n)
{
    return n > 0 ? what / n : 0;
}

/* CPU time by name of process. */
static void
print_processes(double n_ops)
{
    const char *separator = "";

    printf(",\"cpu_us\":{");
    for (int i = 0; i < at_stop.n; i++) {
        const char *name = at_stop.use[i].name;
        double us = 0;
        int before = 0;

        while (before < i && strcmp(at_stop.use[before].name, name) != 0)
            before++;
        if (before < i)
            continue;
        for (int k = i; k < at_stop.n; k++)
            if (strcmp(at_stop.use[k].name, name) == 0)
                us += (double)proc_cpu_since(&at_stop.use[k], &at_start) / 1000;
        printf("%s\"%s\":%.3f", separator, name, n_ops > 0 ? us / n_ops : us);
        separator = ",";
    }
    printf("}");
}

static void
print_json(const char *name, const struct result *r)
{
    const struct latency *l = &r->latency;

    printf("{\"scenario\":\"%s\",\"clients\":%d,\"messages\":%llu,\"ops\":%llu,"
           "\"seconds\":%.2f,\"per_second\":%.0f,\"p50_us\":%llu,\"p90_us\":%llu,"
           "\"p99_us\":%llu,\"p999_us\":%llu,\"max_us\":%llu,\"lost\":%llu,"
           "\"repeated\":%llu,\"stalled_pairs\":%llu",
            name, opt.n_clients, (unsigned long long)r->n_ops,
            (unsigned long long)r->n_ops, r->until_s, per((double)r->n_ops, r->until_s),
            (unsigned long long)latency_percentile(l, 0.5),
            (unsigned long long)latency_percentile(l, 0.9),
            (unsigned long long)latency_percentile(l, 0.99),
            (unsigned long long)latency_percentile(l, 0.999),
            (unsigned long long)l->max_us, (unsigned long long)r->n_lost,
            (unsigned long long)r->n_repeated, (unsigned long long)r->n_open);
    if (opt.server_pid) {
        double us = (double)(proc_tree_cpu_ns(&at_stop) - proc_tree_cpu_ns(&at_start)) /
                    1000;
        double bytes =
                (double)proc_tree_pss(&at_start) - (double)proc_tree_pss(&at_first);

        printf(",\"cpu_s\":%.3f,\"cpu_percent\":%.2f,\"cpu_us_per_op\":%.3f", us / 1e6,
                per(us / 1e4, r->until_s), per(us, (double)r->n_ops));
        printf(",\"pss\":%llu,\"pss_per_client\":%.0f",
                (unsigned long long)proc_tree_pss(&at_start),
                per(bytes, opt.n_clients));
        print_processes((double)r->n_ops);
    }
    printf("}\n");
}

static void
print_table(const char *name, const struct result *r)
{
    const struct latency *l = &r->latency;
    double us =
            (double)(proc_tree_cpu_ns(&at_stop) - proc_tree_cpu_ns(&at_start)) / 1000;
    double bytes = (double)proc_tree_pss(&at_start) - (double)proc_tree_pss(&at_first);

    printf("%s, %d clients, %.2f s\n", name, opt.n_clients, r->until_s);
    printf("  operations   %12llu  %12.0f per second\n", (unsigned long long)r->n_ops,
            per((double)r->n_ops, r->until_s));
    printf("  latency, us  p50 %llu  p90 %llu  p99 %llu  p99.9 %llu  max %llu\n",
            (unsigned long long)latency_percentile(l, 0.5),
            (unsigned long long)latency_percentile(l, 0.9),
            (unsigned long long)latency_percentile(l, 0.99),
            (unsigned long long)latency_percentile(l, 0.999),
            (unsigned long long)l->max_us);
    printf("  lost %llu, repeated %llu, still open %llu\n",
            (unsigned long long)r->n_lost, (unsigned long long)r->n_repeated,
            (unsigned long long)r->n_open);
    if (opt.server_pid)
        printf("  server       %12.2f us of CPU per operation, %.2f %% of a core\n"
               "               %12.0f bytes of memory per client, %.1f MiB in all\n",
                per(us, (double)r->n_ops), per(us / 1e4, r->until_s),
                per(bytes, opt.n_clients), (double)proc_tree_pss(&at_start) / 1048576);
}

static void
parse(int argc, char **argv)
{
    int o;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        help(stdout);
        exit(0);
    }
    while ((o = getopt(argc, argv, "cDmh:p:t:d:n:a:i:j:s:w:r:N:P:o:")) != -1) {
        switch (o) {
        case 'c':
            opt.check = true;
            break;
        case 'D':
            opt.drop = true;
            break;
        case 'm':
            opt.sm = true;
            break;
        case 'h':
            opt.address = optarg;
            break;
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'd':
            opt.domain = optarg;
            break;
        case 'n':
            opt.n_clients = atoi(optarg);
            break;
        case 'a':
            opt.n_accounts = atoi(optarg);
            break;
        case 'i':
            opt.first = atoi(optarg);
            break;
        case 'j':
            opt.n_processes = atoi(optarg);
            break;
        case 's':
            opt.seconds = atoi(optarg);
            break;
        case 'w':
            opt.settle_s = atoi(optarg);
            break;
        case 'N':
            opt.max_ops = atoi(optarg);
            break;
        case 'r':
            opt.rate = atoi(optarg);
            break;
        case 'P':
            opt.server_pid = atoi(optarg);
            break;
        case 'o':
            opt.table = strcmp(optarg, "table") == 0;
            break;
        case 't':
            opt.tls = strcmp(optarg, "none") == 0     ? TLS_NONE
                      : strcmp(optarg, "direct") == 0 ? TLS_DIRECT
                                                      : TLS_STARTTLS;
            break;
        default:
            help(stderr);
            exit(2);
        }
    }
}

int
main(int argc, char **argv)
{
    const char *name;
    int which = 0;
    bool by_hand;
    char c;

    parse(argc, argv);
    name = optind < argc ? argv[optind] : "";
    while (which < N_SCENARIOS && strcmp(name, names[which]) != 0)
        which++;
    if (which == N_SCENARIOS || opt.n_clients < 1 || opt.n_accounts < 1 ||
            opt.n_processes < 1 || opt.n_processes > 256 ||
            (opt.rate < 1 && strcmp(name, "open") == 0)) {
        help(stderr);
        return 2;
    }
    /* Who measures the server in another way says by a line when it is over. */
    by_hand = !opt.server_pid && strcmp(name, "idle") == 0;
    if (by_hand)
        opt.seconds = 0;
    start_processes(scenarios[which]);
    if (opt.server_pid)
        proc_tree_read(&at_first, opt.server_pid, true);
    tell_all('l');
    await_all('r');
    say("ready");
    if (by_hand)
        while (read(0, &c, 1) < 0 && errno == EINTR)
            ;
    else
        sleep((unsigned)opt.settle_s); /* answers to presence are still coming */
    if (opt.server_pid)
        proc_tree_read(&at_start, opt.server_pid, true);
    if (!by_hand)
        say("start");
    tell_all('g');
    await_all('s');
    if (opt.server_pid)
        proc_tree_read(&at_stop, opt.server_pid, false);
    if (!by_hand)
        say("stop");
    tell_all('f');
    await_all('d');
    if (opt.table)
        print_table(name, sum_results());
    else
        print_json(name, sum_results());
    fflush(stdout);
    tell_all('q');
    for (int i = 0; i < opt.n_processes; i++)
        waitpid(child[i].pid, NULL, 0);
    return 0;
}
