/*
 * shaper.c -- token buckets that slow clients down
 *
 * A bucket fills with `rate` bytes a second up to `burst`. Reading may overdraw it by
 * what one call brought, and then pauses until it is above zero again.
 */
#include "worker/shaper.h"

#include "base/mem.h"
#include "worker/conn.h"
#include "worker/in.h"

enum {
    PAUSE_MAX_MS = 5000
};

void
shaper_choose(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    const struct conf_host *host = l->host ? l->host : &w->proc->conf->hosts[0];
    struct sockaddr_storage ip;
    struct jid jid = conn_jid(c);
    struct conf_subject who = { .ip = (struct sockaddr *)&ip };
    struct conf_shaper_pick pick;

    conn_sockaddr(c, &ip);
    if (c->flags & CONN_AUTHED)
        who = (struct conf_subject){ jid.local, jid.domain, jid.resource, who.ip };
    pick = conf_shaper_pick(host, &conn_listener(w, c)->shaper, &who);
    if (pick.kind != CONF_SHAPING_SHAPER)
        pick.shaper = NULL;
    if (pick.shaper == l->shaper)
        return;
    l->shaper = pick.shaper;
    l->shaper_ms = (uint32_t)loop_now_ms(w->loop);
    l->shaper_tokens = pick.shaper ? (int64_t)pick.shaper->burst : 0;
}

size_t
shaper_allow(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    uint32_t now = (uint32_t)loop_now_ms(w->loop);
    int64_t rate, wait;

    if (!l->shaper)
        return SIZE_MAX;
    rate = (int64_t)l->shaper->rate;
    l->shaper_tokens += (int64_t)(uint32_t)(now - l->shaper_ms) * rate / 1000;
    if (l->shaper_tokens > (int64_t)l->shaper->burst)
        l->shaper_tokens = (int64_t)l->shaper->burst;
    l->shaper_ms = now;
    if (l->shaper_tokens > 0)
        return (size_t)l->shaper_tokens;
    wait = (1 - l->shaper_tokens) * 1000 / (rate ? rate : 1) + 1;
    proc_count(w->proc, COUNTER_SHAPED, 1);
    shaper_pause(w, c, wait > PAUSE_MAX_MS ? PAUSE_MAX_MS : (uint32_t)wait);
    return 0;
}

void
shaper_spend(struct worker *w, struct conn *c, size_t n)
{
    struct live *l = live_of(w, c);

    if (l->shaper)
        l->shaper_tokens -= (int64_t)n;
}

void
shaper_pause(struct worker *w, struct conn *c, uint32_t ms)
{
    struct live *l = live_of(w, c);

    if (l->flags & (LIVE_PAUSED | LIVE_DEAD))
        return;
    l->flags |= LIVE_PAUSED;
    l->resume_ms = (uint32_t)loop_now_ms(w->loop) + ms;
    if (w->n_paused == w->paused_size) {
        w->paused_size = w->paused_size ? w->paused_size * 2 : 64;
        w->paused = mem_realloc(w->paused, w->paused_size * sizeof *w->paused);
    }
    w->paused[w->n_paused++] = conn_index(w, c);
    if (w->paused_timer.place == 0 || w->paused_timer.at_ms > loop_now_ms(w->loop) + ms)
        loop_timer_set(w->loop, &w->paused_timer, ms);
}

void
shaper_rearm(struct worker *w)
{
    uint32_t now = (uint32_t)loop_now_ms(w->loop), least = UINT32_MAX;

    if (w->blocked || w->n_paused == 0)
        return; /* on_drained will come */
    for (size_t i = 0; i < w->n_paused; i++) {
        const struct live *l = live_of(w, &w->conns[w->paused[i]]);
        int32_t wait = (int32_t)(l->resume_ms - now);

        if (wait < 0)
            wait = 0;
        if ((uint32_t)wait < least)
            least = (uint32_t)wait;
    }
    loop_timer_set(w->loop, &w->paused_timer, least);
}
