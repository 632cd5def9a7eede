/*
 * conf.c -- any bytes as a configuration, and as a packed one
 *
 * What loads must pack, unpack to the same, answer questions and be explained. Input
 * that begins like a packed configuration goes to the unpacker as it is.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct conf_loader loader = { .home = "/h", .skip_files = true };

static void
check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* No answer is checked, only that there is one. */
static void
ask(const struct conf *conf)
{
    static const struct sockaddr_in in = { .sin_family = AF_INET };
    const struct conf_subject who = { .user = STR("admin"),
        .server = conf->hosts[0].name,
        .resource = STR("r"),
        .ip = (const struct sockaddr *)(const void *)&in };
    FILE *out = fopen("/dev/null", "w");

    check(conf_host_find(conf, conf->hosts[0].name) == &conf->hosts[0], "host lost");
    for (size_t i = 0; i < conf->n_hosts && i < 10; i++) {
        conf_access(&conf->hosts[i], STR("c2s"), &who);
        conf_shaper_rule(&conf->hosts[i], STR("max_user_sessions"), &who);
        for (size_t k = 0; k < conf->n_listeners && k < 10; k++) {
            conf_access_allows(&conf->hosts[i], &conf->listeners[k].access, &who);
            conf_shaper_pick(&conf->hosts[i], &conf->listeners[k].shaper, &who);
            conf_tls_for(&conf->hosts[i], &conf->listeners[k]);
        }
    }
    for (size_t k = 0; k < conf->n_listeners; k++)
        check(conf->listeners[k].max_stanza_size <= CONF_STANZA_SIZE_MAX, "no bound");
    if (out) {
        conf_explain(conf, out);
        fclose(out);
    }
}

static void
round_trip(const struct conf *conf, unsigned may_see)
{
    struct conf *copy = NULL;
    struct buf packed = { 0 }, again = { 0 };

    conf_pack(conf, may_see, &packed);
    check(conf_unpack(buf_str(&packed), &loader, &copy) == 0, "cannot be unpacked");
    conf_pack(copy, may_see, &again);
    check(str_eq(buf_str(&packed), buf_str(&again)), "differs");
    check(copy->n_hosts == conf->n_hosts && copy->n_listeners == conf->n_listeners,
            "bound differently");
    conf_free(&copy);
    buf_fini(&packed);
    buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = { (const char *)data, size };
    struct conf *conf = NULL;
    struct conf_report report;
    struct buf line = { 0 };
    int r;

    if (str_starts(in, STR("STZC"))) {
        if (conf_unpack(in, &loader, &conf) == 0)
            ask(conf);
        conf_free(&conf);
        return 0;
    }
    conf_report_init(&report);
    r = conf_load_text("f.yml", in, &loader, &report, &conf);
    check((r == 0) == (report.n_errors == 0),
            "failed without a reason, or the reverse");
    for (const struct conf_problem *p = report.first; p; p = p->next)
        conf_problem_format(p, &line);
    if (r == 0) {
        ask(conf);
        round_trip(conf, CONF_SECRET_ALL);
        round_trip(conf, 0);
    }
    conf_free(&conf);
    conf_report_fini(&report);
    buf_fini(&line);
    return 0;
}
