#ifndef WORKER_MODULE_WORKER_H
#define WORKER_MODULE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "proc/status.h"

/*
 * The worker that a module runs in: its clock, its counters, its configuration and the
 * modules beside this one.
 */
struct worker;
struct arena;
struct conf;
struct conf_host;
struct conf_module;
struct module;

/* The worker's clock (monotonic), the same in all workers. */
uint32_t worker_now_s(const struct worker *w);
uint64_t worker_now_ms(const struct worker *w);
/* Is the service stopping? What may stay undone until the next start stays so. */
bool worker_stops(const struct worker *w);
/* How long the service has been running, whatever became of this process. */
uint64_t worker_uptime_s(const struct worker *w);

/*
 * The time of the day in µs as an id: never the same twice, in no two workers, also
 * after a kill or when the clock goes back. Each worker has the numbers that leave its
 * slot's number when divided by the number of workers, and takes them in rising order;
 * the last one is in its slot. Under more than a million a second they run ahead of the
 * clock.
 */
uint64_t worker_stamp_us(struct worker *w);

/* Counts in the process's status page. */
void worker_count(struct worker *w, enum counter c, uint64_t n);

const struct conf_host *host_of(const struct worker *w, struct str domain);
const struct conf *worker_conf(const struct worker *w);
bool host_has_module(
        const struct worker *w, const struct conf_host *host, const char *name);
/* A module of the host, for home_call() to one of its steps; NULL: not loaded there. */
const struct module *module_find(
        const struct worker *w, const struct conf_host *host, const char *name);
/* The config of a module for a host; NULL: not loaded there. */
void *module_config(
        const struct worker *w, const struct conf_host *host, const struct module *m);

/*
 * The domains of a service by its options `hosts` (a list) and `host`, @HOST@ replaced
 * and prepared: how many.
 */
size_t module_domains(struct arena *arena, const struct conf_host *host,
        const struct conf_module *options, struct str *ret, size_t max);

#endif
