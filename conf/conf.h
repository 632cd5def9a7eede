#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/node.h"
#include "conf/report.h"

/*
 * The configuration of stanzad as typed values.
 *
 * The master calls conf_load() on the file; every other process gets conf_pack()ed
 * bytes over its socket and calls conf_unpack(): the same binding code makes the same
 * values. A struct conf never changes after that. A reload makes another one; who keeps
 * a pointer into the old one must let go of it before conf_free().
 *
 * All strings live in conf->arena and are terminated as well (p[n] == 0). An unset
 * string has p == NULL. Times are in milliseconds. CONF_INFINITY stands for `infinity`.
 */
#define CONF_INFINITY UINT64_MAX

/* What `infinity` means for max_stanza_size: nothing in memory is without a bound. */
#define CONF_STANZA_SIZE_MAX ((uint64_t)10 * 1024 * 1024)

struct conf_strs {
    struct str *at;
    size_t n;
};

/*
 * Values of options that are one of a few words; tables in conf/value.c hold the words.
 */
enum conf_db {
    CONF_DB_MNESIA,
    CONF_DB_SQL
}; /* mnesia: our embedded SQLite file */
enum conf_sql_type {
    CONF_SQL_MSSQL,
    CONF_SQL_MYSQL,
    CONF_SQL_ODBC,
    CONF_SQL_PGSQL,
    CONF_SQL_SQLITE
};
enum conf_auth_method {
    CONF_AUTH_MNESIA,
    CONF_AUTH_SQL
};
enum conf_password_format {
    CONF_PASSWORD_PLAIN,
    CONF_PASSWORD_SCRAM
};
enum conf_scram_hash {
    CONF_SCRAM_SHA1,
    CONF_SCRAM_SHA256,
    CONF_SCRAM_SHA512
};
enum conf_resource_conflict {
    CONF_CONFLICT_SETRESOURCE, /* the new one gets another resource */
    CONF_CONFLICT_CLOSEOLD,    /* the old one is ended with <conflict/> */
    CONF_CONFLICT_CLOSENEW     /* the new one is refused with <conflict/> */
};
enum conf_log_target {
    CONF_LOG_STDERR,
    CONF_LOG_FILE,
    CONF_LOG_SYSLOG
};
enum conf_log_format {
    CONF_LOG_TEXT,
    CONF_LOG_JSON
};

/* Bits of conf_host.stored_password_types. */
enum conf_password_type {
    CONF_STORE_PLAIN = 1 << 0,
    CONF_STORE_SCRAM_SHA1 = 1 << 1,
    CONF_STORE_SCRAM_SHA256 = 1 << 2,
    CONF_STORE_SCRAM_SHA512 = 1 << 3
};

/* Bits of protocol_options (ejabberd's names without change). */
enum conf_tls_option {
    CONF_TLS_NO_SSLV2 = 1 << 0, /* never spoken here anyway */
    CONF_TLS_NO_SSLV3 = 1 << 1, /* likewise */
    CONF_TLS_NO_TLSV1 = 1 << 2,
    CONF_TLS_NO_TLSV1_1 = 1 << 3,
    CONF_TLS_NO_TLSV1_2 = 1 << 4,
    CONF_TLS_NO_TLSV1_3 = 1 << 5,
    CONF_TLS_CIPHER_SERVER_PREFERENCE = 1 << 6,
    CONF_TLS_NO_COMPRESSION = 1 << 7, /* never spoken here anyway */
    CONF_TLS_NO_TICKET = 1 << 8
};

/*
 * TLS settings of a host (c2s_*) or of one listener, which wins where it says
 * something.
 */
struct conf_tls {
    struct str ciphers; /* an OpenSSL list; unset: the library's default */
    struct str dhfile;
    struct str cafile;
    uint32_t protocol_options; /* enum conf_tls_option */
    bool has_protocol_options; /* said in the file (listeners only) */
};

/* One database. Equal values may share one pool of connections. */
struct conf_sql {
    enum conf_sql_type type;
    struct str server, database, username, password; /* sqlite: database is the path */
    uint32_t port;
    uint32_t pool_size;
    uint64_t connect_timeout_ms, query_timeout_ms, start_interval_ms;
    uint64_t keepalive_interval_ms; /* 0: none */
    uint64_t update_schema_timeout_ms;
    struct str ssl_cafile, ssl_certfile;
    bool ssl, ssl_verify;
    bool prepared_statements;
    bool multihost;     /* sql_schema_multihost: rows carry server_host */
    bool update_schema; /* bring an older schema up to date at start */
};

/* Who asks. Members that are not known are unset; ip may be NULL. */
struct conf_subject {
    struct str user, server, resource; /* prepared */
    const struct sockaddr *ip;         /* AF_INET or AF_INET6 */
};

/* What an `access:` option holds: the name of a rule, or a rule of its own. */
struct conf_access {
    struct str name;              /* unset: inline */
    const struct conf_rule *rule; /* of an inline rule; conf/acl.h */
    struct conf_pos pos;
};

/*
 * What a `shaper:` option holds: likewise, from shaper_rules; name "none" by default.
 */
struct conf_shaper_access {
    struct str name;
    const struct conf_rule *rule;
    struct conf_pos pos;
};

#define CONF_BURST_MAX ((uint64_t)1 << 40) /* burst_size: infinity */

struct conf_shaper {
    struct str name;
    uint64_t rate;  /* bytes per second; CONF_INFINITY is never picked */
    uint64_t burst; /* bytes that may come at once; = rate unless said */
};

/*
 * A module of one host; options are checked, and kept as nodes (conf_module_* read
 * them)
 */
struct conf_module {
    struct str name;
    const struct conf_node *options; /* a map, may be empty, never NULL */
    const struct conf_option *def;   /* its row in modules.def */
    struct conf_module_rule *rules;  /* what access options say in place of a name */
};

/* use_cache, cache_size, cache_life_time */
struct conf_cache {
    bool use;
    uint64_t size, life_time_ms; /* CONF_INFINITY: without limit */
};

struct conf_host {
    struct conf *conf;
    struct str name; /* prepared */

    /* accounts */
    enum conf_auth_method auth_method[2]; /* in this order */
    size_t n_auth_methods;
    enum conf_password_format auth_password_format;
    enum conf_scram_hash auth_scram_hash;
    uint32_t auth_stored_password_types; /* bits; 0: what format and hash say */
    bool wants_password_types; /* several, and the file says so */
    uint32_t auth_password_types_hidden_in_sasl1; /* bits */
    struct conf_strs disable_sasl_mechanisms;     /* in capitals */
    bool disable_sasl_scram_downgrade_protection;

    /* storage: see conf_host_db() */
    enum conf_db default_db;
    struct conf_sql sql; /* what `sql` means */
    struct conf_sql
            embedded; /* what `mnesia` means: DATABASE_PATH/sqlite/HOST.sqlite */

    /* streams */
    struct str language;
    struct conf_tls c2s_tls;
    enum conf_resource_conflict resource_conflict;
    uint64_t replaced_connection_timeout_ms;
    uint64_t max_fsm_queue; /* CONF_INFINITY: not set, the listener's counts */
    bool hide_sensitive_log_data;

    struct conf_cache cache; /* see conf_module_cache() */

    struct conf_module *modules; /* sorted by name */
    size_t n_modules;

    struct conf_rules *rules; /* acl, access_rules, shaper_rules; conf/acl.h */
};

struct conf_listener {
    struct str module; /* "ejabberd_c2s": the only one with effect so far */
    struct conf_pos pos;

    /* where: a Unix path, or an address with the port in it */
    struct sockaddr_storage addr; /* AF_INET, AF_INET6 or AF_UNIX */
    socklen_t addr_len;
    struct str unix_path;           /* unset unless AF_UNIX */
    uint32_t unix_mode;             /* e.g. 0660; 0: as the umask makes it */
    int64_t unix_owner, unix_group; /* -1: unchanged */
    struct str name; /* "0.0.0.0:5222", "[::]:5222", "unix:/path": for logs */

    uint32_t backlog;
    uint64_t accept_interval_ms; /* pause between two accepts */
    uint64_t send_timeout_ms;    /* a peer that takes nothing for so long is dropped */
    bool use_proxy_protocol;     /* PROXY v1 or v2 header expected first */

    bool tls;               /* from the first byte */
    bool starttls;          /* offered */
    bool starttls_required; /* nothing else before it */
    bool tls_verify;        /* client certificates wanted: SASL EXTERNAL */
    bool zlib;              /* stream compression; no effect yet */
    bool allow_unencrypted_sasl2;
    struct conf_tls tls_settings;

    uint64_t max_stanza_size; /* bytes; never above CONF_STANZA_SIZE_MAX */
    uint64_t max_stanza_elements;
    uint64_t pre_auth_max_stanza_size;
    uint64_t pre_auth_max_stanza_elements;
    uint64_t max_fsm_queue; /* stanzas waiting for one client */

    struct conf_access access;
    struct conf_shaper_access shaper;
};

struct conf_net {
    uint8_t addr[16]; /* IPv4 is kept as v4-mapped IPv6 */
    uint8_t prefix;   /* 0..128 */
};

struct conf {
    struct arena arena; /* holds everything below */
    struct conf_tree *tree;
    struct str home, database_path, log_path, version; /* as the loader said */
    struct str path;                                   /* of the main file */

    struct conf_host *hosts; /* in the file's order; at least one */
    size_t n_hosts;
    struct map *host_index;          /* base/hash.h: by name */
    struct conf_listener *listeners; /* those with effect only */
    size_t n_listeners;
    struct conf_strs certfiles; /* globs as given */
    struct conf_shaper *shapers;
    size_t n_shapers;

    /* log */
    enum log_level loglevel;
    enum conf_log_target log_target;
    enum conf_log_format log_format;
    struct str log_file;       /* LOG_PATH/stanzad.log, for log_target: file */
    uint64_t log_rotate_size;  /* CONF_INFINITY: never */
    uint32_t log_rotate_count; /* 0: the old one is left to logrotate(8) */
    uint32_t log_burst_limit_count;
    uint64_t log_burst_limit_window_ms;

    /* processes and connections */
    uint32_t workers;                 /* `auto` is already the number of cores */
    uint64_t negotiation_timeout_ms;  /* from accept to bind */
    uint64_t registration_timeout_ms; /* CONF_INFINITY: accounts as often as you like */
    uint64_t
            c2s_idle_timeout_ms; /* no byte from a bound client; CONF_INFINITY: never */
    uint64_t c2s_keepalive_ms; /* between white space to a silent client */
    uint64_t c2s_connections_per_ip;
    uint64_t worker_memory_max; /* bytes of a slot; CONF_INFINITY: all of it */
    bool oom_killer;
    uint32_t oom_watermark; /* per cent of worker_memory_max */
    bool tls_ktls;     /* the kernel makes the records, if they do not survive */
    bool tls_takeover; /* TLS connections survive the worker (DESIGN.md) */
    struct conf_net *trusted_proxies;
    size_t n_trusted_proxies;
    bool trusted_proxies_all;
    struct str fqdn;
    struct str ca_file;
};

/* What the configuration takes from its surroundings. */
enum conf_prep_kind {
    CONF_PREP_DOMAIN,
    CONF_PREP_USER,
    CONF_PREP_RESOURCE
};
struct conf_loader {
    /*
     * Nameprep, nodeprep or resourceprep (and IDNA's ToUnicode for domains): 0 with the
     * result in the arena, -EINVAL when `in` is not valid. NULL: lower-case ASCII.
     */
    int (*prep)(struct arena *conf_arena, enum conf_prep_kind kind, struct str in,
            struct str *ret_out);
    const char *home;          /* @HOME@; NULL: /var/lib/stanzad */
    const char *database_path; /* @DATABASE_PATH@; NULL: home */
    const char *log_path;      /* @LOG_PATH@; NULL: /var/log/stanzad */
    const char *version;       /* @VERSION@ and @SEMVER@; NULL: STANZAD_VERSION */
    bool skip_files; /* do not look whether named files can be read (unprivileged) */
};

/*
 * Reads, resolves and checks a file. 0 with *ret_conf the caller's; -EINVAL when the
 * file has errors: report says which (it is added to in any case; warnings also on
 * success); another -errno when the file itself cannot be read (reported as well).
 */
int conf_load(const char *path, const struct conf_loader *loader,
        struct conf_report *report, struct conf **ret_conf);

/* The same from bytes in memory; `name` is what positions call the file. */
int conf_load_text(const char *name, struct str yaml, const struct conf_loader *loader,
        struct conf_report *report, struct conf **ret_conf);

/* Frees *conf and sets it to NULL. */
void conf_free(struct conf **conf);

/*
 * For another process: the resolved tree, without macros and without the secrets that
 * the receiver must not see (bits of enum conf_secret, node.h). Appends to out.
 */
void conf_pack(const struct conf *conf, unsigned may_see, struct buf *out);

/* 0, or -EBADMSG when the bytes are damaged; -EINVAL when they do not bind. */
int conf_unpack(
        struct str packed, const struct conf_loader *loader, struct conf **ret_conf);

/* NULL when it is not ours. The name must be prepared. */
const struct conf_host *conf_host_find(const struct conf *conf, struct str name);

/* The database behind `mnesia` or `sql`, and behind default_db and one auth method. */
const struct conf_sql *conf_host_db(const struct conf_host *host, enum conf_db db);
const struct conf_sql *conf_host_auth_db(const struct conf_host *host, size_t i_method);
bool conf_sql_eq(const struct conf_sql *a, const struct conf_sql *b);

/* The TLS settings in force for one host on one listener. */
struct conf_tls conf_tls_for(
        const struct conf_host *host, const struct conf_listener *ln);

/*
 * Access. An unknown name denies; `all` allows, `none` denies. Rules of the host come
 * before global ones of the same name.
 */
bool conf_access(
        const struct conf_host *host, struct str rule, const struct conf_subject *who);
bool conf_access_allows(const struct conf_host *host, const struct conf_access *access,
        const struct conf_subject *who);
bool conf_acl_match(
        const struct conf_host *host, struct str acl, const struct conf_subject *who);

/* Is a rule of that name defined (max_user_sessions: unlimited when it is not)? */
bool conf_shaper_rule_exists(const struct conf_host *host, struct str rule);

enum conf_shaping {
    CONF_SHAPING_NONE,
    CONF_SHAPING_SHAPER,
    CONF_SHAPING_NUMBER
};
struct conf_shaper_pick {
    enum conf_shaping kind; /* none: without limit */
    const struct conf_shaper *shaper;
    uint64_t number;
};

/* The first entry of a shaper rule that matches; none when there is no such rule. */
struct conf_shaper_pick conf_shaper_rule(
        const struct conf_host *host, struct str rule, const struct conf_subject *who);
struct conf_shaper_pick conf_shaper_pick(const struct conf_host *host,
        const struct conf_shaper_access *shaper, const struct conf_subject *who);
const struct conf_shaper *conf_shaper_find(const struct conf *conf, struct str name);

/* Is the address one of trusted_proxies? */
bool conf_is_trusted_proxy(const struct conf *conf, const struct sockaddr *ip);

/* Modules: NULL when the host does not have it. */
const struct conf_module *conf_module_find(
        const struct conf_host *host, struct str name);

/*
 * One option of a module as its type says; the table's default when it is not set. They
 * assert that the option is in modules.def with that type. @HOST@ is replaced in what
 * the file says, but not in a default.
 */
bool conf_module_bool(const struct conf_module *m, const char *option);
uint64_t conf_module_number(const struct conf_module *m, const char *option);
uint64_t conf_module_time_ms(const struct conf_module *m, const char *option);
struct str conf_module_text(const struct conf_module *m, const char *option);
const struct conf_node *conf_module_node(
        const struct conf_module *m, const char *option);
/* What the module says of its cache; where it says nothing, what the host does. */
struct conf_cache conf_module_cache(
        const struct conf_host *host, const struct conf_module *m);
struct conf_access conf_module_access(const struct conf_module *m, const char *option);
struct conf_shaper_access conf_module_shaper(
        const struct conf_module *m, const char *option);

/*
 * What `stanzad -t` prints: files, hosts, listeners, databases, certificates. No
 * secret.
 */
void conf_explain(const struct conf *conf, FILE *out);

/*
 * Writes the option lists of stanzad.yml(5) as mdoc; `what` is "options", "listen" or
 * "modules". -EINVAL for anything else.
 */
int conf_write_manual(FILE *out, const char *what);

#endif
