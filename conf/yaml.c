/*
 * yaml.c -- YAML into nodes
 *
 * libyaml gives events; a stack of open collections, which is as deep as CONF_DEPTH_MAX
 * and no deeper, makes nodes of them. An alias is a deep copy that counts like anything
 * else, and an anchor can be used only once its node is complete: no cycles, no bombs.
 */
#include "conf/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/hash.h"
#include "base/mem.h"

struct yaml_reader {
    struct arena *arena;
    struct conf_tree *tree;
    struct conf_report *report;
    const char *file;
    struct conf_node *root;
    struct {
        struct conf_node *node;
        struct conf_node *key; /* waiting for its value */
        struct str anchor;
    } open[CONF_DEPTH_MAX];
    unsigned depth;
    struct map anchors;
};

static struct conf_pos
pos_of(const struct yaml_reader *y, const yaml_mark_t *mark)
{
    return (struct conf_pos){ y->file, (uint32_t)mark->line + 1,
        (uint32_t)mark->column + 1 };
}

__attribute__((format(printf, 4, 5))) static int
fail(struct yaml_reader *y, struct conf_pos pos, const char *advice, const char *fmt,
        ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    conf_report_add(y->report, CONF_ERROR, pos, advice, "%s", text);
    return -EINVAL;
}

static int
fail_budget(struct yaml_reader *y, struct conf_pos pos)
{
    return fail(y, pos, "make it smaller, or use fewer aliases",
            "the configuration is too large: more than %d values, %u bytes of text or "
            "%d "
            "levels",
            CONF_NODES_MAX, CONF_TEXT_SIZE_MAX, CONF_DEPTH_MAX);
}

/* Puts a node where the document is: as a key, a value, an element or the root. */
static int
place(struct yaml_reader *y, struct conf_node *node)
{
    struct conf_node *parent = y->depth ? y->open[y->depth - 1].node : NULL;
    struct conf_node **key = y->depth ? &y->open[y->depth - 1].key : NULL;

    if (!parent) {
        y->root = node;
    } else if (parent->kind == CONF_LIST) {
        conf_node_add(parent, node);
    } else if (!*key && parent->n == CONF_MAP_MAX) {
        return fail(y, node->pos, "split it", "more than %d names in one map",
                CONF_MAP_MAX);
    } else if (!*key) {
        if (node->kind != CONF_SCALAR)
            return fail(y, node->pos, "write `name: value`",
                    "a key must be a plain word, not a list or a map");
        *key = node;
    } else {
        node->key = *key;
        *key = NULL;
        conf_node_add(parent, node);
    }
    return 0;
}

static void
remember(struct yaml_reader *y, struct str anchor, struct conf_node *node)
{
    if (anchor.n)
        map_set(&y->anchors, anchor, node);
}

static struct str
anchor_of(struct yaml_reader *y, const yaml_char_t *anchor)
{
    return anchor ? str_dup(y->arena, str_from((const char *)anchor)) : STR_NULL;
}

static int
on_scalar(struct yaml_reader *y, const yaml_event_t *ev)
{
    struct str text = { (const char *)ev->data.scalar.value, ev->data.scalar.length };
    const char *tag = (const char *)ev->data.scalar.tag;
    struct conf_pos pos = pos_of(y, &ev->start_mark);
    bool quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    struct conf_node *node;

    if (tag && strcmp(tag, YAML_STR_TAG) == 0)
        quoted = true;
    else if (tag && strcmp(tag, "!") != 0)
        return fail(y, pos, "remove it", "the tag %.100s is not understood", tag);
    if (memchr(text.p, '\0', text.n))
        return fail(y, pos, "remove it", "a zero byte in a string");
    node = conf_node_scalar(y->arena, y->tree, text, quoted, pos);
    if (!node)
        return fail_budget(y, pos);
    remember(y, anchor_of(y, ev->data.scalar.anchor), node);
    return place(y, node);
}

static int
on_alias(struct yaml_reader *y, const yaml_event_t *ev)
{
    struct str name = str_from((const char *)ev->data.alias.anchor);
    struct conf_pos pos = pos_of(y, &ev->start_mark);
    struct conf_node *node = map_get(&y->anchors, name);

    if (!node)
        return fail(y, pos, "define it before its use, and not around it",
                "there is no anchor &%.*s", STR_ARG(name));
    node = conf_node_copy(y->arena, y->tree, node, y->depth);
    if (!node)
        return fail_budget(y, pos);
    node->key = NULL;
    return place(y, node);
}

static int
on_open(struct yaml_reader *y, const yaml_event_t *ev, enum conf_kind kind)
{
    struct conf_pos pos = pos_of(y, &ev->start_mark);
    struct conf_node *node;
    struct str anchor = anchor_of(y, kind == CONF_LIST ? ev->data.sequence_start.anchor
                                                       : ev->data.mapping_start.anchor);

    if (y->depth == CONF_DEPTH_MAX)
        return fail_budget(y, pos);
    node = conf_node_new(y->arena, y->tree, kind, pos);
    if (!node)
        return fail_budget(y, pos);
    y->open[y->depth].node = node;
    y->open[y->depth].key = NULL;
    y->open[y->depth].anchor = anchor;
    y->depth++;
    return 0;
}

static int
on_close(struct yaml_reader *y)
{
    struct conf_node *node = y->open[--y->depth].node;

    remember(y, y->open[y->depth].anchor, node);
    return place(y, node);
}

static int
on_event(struct yaml_reader *y, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (y->root)
            return fail(y, pos_of(y, &ev->start_mark), "remove the line with ---",
                    "a second document in one file");
        return 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(y, ev);
    case YAML_ALIAS_EVENT:
        return on_alias(y, ev);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(y, ev, CONF_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_open(y, ev, CONF_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(y);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* What helps in most cases, by the character that libyaml stumbled over. */
static const char *
advice_for(const yaml_parser_t *p, struct str text, const yaml_mark_t *mark)
{
    char c = text.p && mark->index < text.n ? text.p[mark->index] : '\0';

    if (p->error == YAML_READER_ERROR)
        return "save the file as UTF-8";
    if (c == '\t')
        return "indent with spaces, not with tabs";
    if (c == '@' || c == '`' || c == '%')
        return "put the value in quotation marks";
    if (p->error == YAML_SCANNER_ERROR && p->problem &&
            strstr(p->problem, "mapping values"))
        return "the line before may lack its colon or a quotation mark, or this one is "
               "indented too far";
    return "look at the indentation and the quotation marks here and in the lines "
           "above";
}

static int
fail_yaml(struct yaml_reader *y, const yaml_parser_t *p, struct str text)
{
    yaml_mark_t mark = p->problem_mark;
    struct conf_pos pos;

    if (p->error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){ .index = p->problem_offset };
        for (size_t i = 0; text.p && i < p->problem_offset && i < text.n; i++) {
            mark.column++;
            if (text.p[i] == '\n') {
                mark.line++;
                mark.column = 0;
            }
        }
    }
    pos = pos_of(y, &mark);
    return fail(y, pos, advice_for(p, text, &mark), "this is not YAML: %s%s%s",
            p->problem ? p->problem : "it cannot be read", p->context ? ", " : "",
            p->context ? p->context : "");
}

int
conf_yaml_parse(struct arena *conf_arena, struct conf_tree *tree, const char *file,
        struct str text, struct conf_report *report, struct conf_node **ret_root)
{
    struct yaml_reader y = {
        .arena = conf_arena, .tree = tree, .report = report, .file = file
    };
    yaml_parser_t parser;
    bool end = false;
    int r = 0;

    if (text.n > CONF_FILE_SIZE_MAX)
        return fail(&y, (struct conf_pos){ file, 0, 0 },
                "split it with include_config_file", "the file is larger than %u bytes",
                CONF_FILE_SIZE_MAX);
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(
            &parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    while (r == 0 && !end) {
        yaml_event_t ev;

        if (!yaml_parser_parse(&parser, &ev)) {
            r = fail_yaml(&y, &parser, text);
            break;
        }
        end = ev.type == YAML_STREAM_END_EVENT;
        r = on_event(&y, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
    map_fini(&y.anchors);
    if (r < 0)
        return r;
    if (!y.root || (y.root->kind == CONF_SCALAR && y.root->text.n == 0)) {
        y.root = conf_node_new(
                conf_arena, tree, CONF_MAP, (struct conf_pos){ file, 1, 1 });
        if (!y.root)
            return fail_budget(&y, (struct conf_pos){ file, 1, 1 });
    }
    if (y.root->kind != CONF_MAP)
        return fail(&y, y.root->pos, "write `option: value` lines",
                "the file is not a list of options");
    *ret_root = y.root;
    return 0;
}

static int
read_all(const char *path, struct buf *out)
{
    struct stat st;
    int fd = -1, r = 0;
    ssize_t n;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (S_ISDIR(st.st_mode))
        r = -EISDIR;
    else if (!S_ISREG(st.st_mode))
        r = -EINVAL;
    while (r == 0 && out->n <= CONF_FILE_SIZE_MAX) {
        n = read(fd, buf_reserve(out, 65536), 65536);
        if (n == 0)
            break;
        if (n > 0)
            buf_added(out, (size_t)n);
        else if (errno != EINTR)
            r = -errno;
    }
    close_fd(&fd);
    return r;
}

int
conf_yaml_read(struct arena *conf_arena, struct conf_tree *tree, const char *path,
        struct conf_pos from, struct conf_report *report, struct conf_node **ret_root)
{
    struct str name = str_from(path);
    struct buf text = { 0 };
    int r;

    if (!str_ends(name, STR(".yml")) && !str_ends(name, STR(".yaml"))) {
        conf_report_add(report, CONF_ERROR, from, "rename it",
                "the name of the file %s does not end in .yml or .yaml", path);
        return -EINVAL;
    }
    if (tree->n_files == CONF_FILES_MAX) {
        conf_report_add(report, CONF_ERROR, from, "put some of them together",
                "more than %d files", CONF_FILES_MAX);
        return -EINVAL;
    }
    r = read_all(path, &text);
    if (r < 0) {
        conf_report_add(report, CONF_ERROR,
                from.file ? from : (struct conf_pos){ path, 0, 0 },
                r == -ENOENT   ? "check the path"
                : r == -EACCES ? "check its owner and mode"
                               : NULL,
                "cannot read %s: %s", path, strerror(-r));
    } else {
        const char *kept = str_dup_c(conf_arena, name);

        tree->files[tree->n_files++] = kept;
        r = conf_yaml_parse(conf_arena, tree, kept, buf_str(&text), report, ret_root);
    }
    if (text.p)
        mem_wipe(text.p, text.size);
    buf_fini(&text);
    return r;
}
