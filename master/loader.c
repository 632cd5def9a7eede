/*
 * loader.c -- the names in a configuration are parts of XMPP addresses
 */
#include "master/loader.h"

#include <errno.h>

#include "xmpp/jid.h"

static int
prep(struct arena *conf_arena, enum conf_prep_kind kind, struct str in,
        struct str *ret_out)
{
    switch (kind) {
    case CONF_PREP_DOMAIN:
        return jid_prep_domain(conf_arena, in, ret_out);
    case CONF_PREP_USER:
        return jid_prep_local(conf_arena, in, ret_out);
    case CONF_PREP_RESOURCE:
        return jid_prep_resource(conf_arena, in, ret_out);
    }
    return -EINVAL;
}

void
loader_init(struct conf_loader *loader, const char *home)
{
    *loader = (struct conf_loader){
        .prep = prep, .home = home, .database_path = home, .log_path = home
    };
}
