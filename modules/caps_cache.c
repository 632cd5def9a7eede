/*
 * caps_cache.c -- what was verified, by what is announced
 *
 * One per process and host, bounded by cache_size; the entry that was used longest ago
 * goes first. Sessions hold what they use, so that leaving the cache takes nothing from
 * them.
 */
#include "modules/caps.h"

struct entry {
    struct list node; /* in config.used */
    struct client_caps *caps;
    uint64_t since_ms;
};

static void
entry_drop(struct caps_config *config, struct entry *e)
{
    map_del(&config->known, client_caps_key(e->caps));
    list_del(&e->node);
    config->n--;
    client_caps_unref(&e->caps);
    mem_free_p(e);
}

struct client_caps *
caps_cache_get(struct caps_config *config, const struct worker *w, struct str key)
{
    struct entry *e = map_get(&config->known, key);

    if (!e)
        return NULL;
    if (config->settings.life_time_ms != CONF_INFINITY &&
            worker_now_ms(w) - e->since_ms > config->settings.life_time_ms) {
        entry_drop(config, e);
        return NULL;
    }
    list_del(&e->node);
    list_add(&config->used, &e->node);
    return e->caps;
}

void
caps_cache_put(
        struct caps_config *config, const struct worker *w, struct client_caps *caps)
{
    struct entry *e = map_get(&config->known, client_caps_key(caps));

    if (e)
        entry_drop(config, e);
    if (!config->settings.use)
        return;
    while (config->n > 0 && config->n >= config->settings.size)
        entry_drop(config, list_entry(config->used.next, struct entry, node));
    e = mem_zalloc(sizeof *e);
    e->caps = client_caps_ref(caps);
    e->since_ms = worker_now_ms(w);
    list_add(&config->used, &e->node);
    map_set(&config->known, client_caps_key(caps), e);
    config->n++;
}

void
caps_cache_fini(struct caps_config *config)
{
    while (!list_empty(&config->used))
        entry_drop(config, list_entry(config->used.next, struct entry, node));
    map_fini(&config->known);
}
