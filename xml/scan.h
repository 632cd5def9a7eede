#ifndef XML_SCAN_H
#define XML_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct xml_limits;

enum {
    XML_MARKS_MAX = 256, /* tags, attributes and texts of a simple stanza */
    XML_SCAN_DEPTH_MAX = 32,
    XML_SCAN_ATTRS_MAX = 16 /* of one element: each is compared with the others */
};

enum xml_mark_kind {
    XML_MARK_START, /* the name */
    XML_MARK_ATTR,  /* the name; the value follows two bytes behind it: =' */
    XML_MARK_TEXT,  /* a run, not empty */
    XML_MARK_END
};

/* A part of the stanza, as an index into its bytes. */
struct xml_mark {
    uint32_t at, n, value_n;
    uint16_t n_attrs; /* of a start: how many of the next marks are its attributes */
    uint8_t kind;
    bool refs; /* the value or text has references in it */
};

struct xml_scan {
    size_t n;        /* bytes of the stanza */
    struct str root; /* its name as written, as soon as it is known */
    size_t n_marks;
    struct xml_mark marks[XML_MARKS_MAX];
};

/*
 * Reads the stanza that begins with the first of n bytes. true: all of it is there, it
 * is simple, well-formed and within the limits on sizes, depth, elements and
 * attributes. Whatever is not, or might not be, is not ours to judge: false, and
 * nothing but `root` means anything.
 *
 * Not looked at: what colons in names mean.
 */
bool xml_scan(struct xml_scan *ret_scan, const char *s, size_t n,
        const struct xml_limits *limits);

/* Writes what a text or value with references stands for over it; its size then. */
size_t xml_scan_dereference(char *s, size_t n);

#endif
