/* Goes through the ends of a user that are worth looking at, by their hints. */
#ifndef TL_ENDS_H
#define TL_ENDS_H

#include <string.h>

#include "network.h"

#define IN_EACH_BYTE 0x0101010101010101ULL

/* Those on which the payer is owed something, the rest, or all. */
typedef enum { OWED_ONES, OTHER_ONES, ALL } selection;

typedef struct {
    const hint *hints;
    uint32_t degree, at;
    uint64_t up_to_grade, flips, takes; /* in each byte */
    uint64_t pending;                   /* the high bit of each byte of those found among the last eight */
} selected_ends;

/* The ends, and perhaps some more, on which so much can move, paid by the user (is_payer) or to it. */
static inline selected_ends select_ends(const user *u, bool is_payer, uint64_t amount, selection which) {
    return (selected_ends){
        .hints = hints_of(u, is_payer),
        .degree = u->degree,
        .up_to_grade = (OWED - (uint64_t)grade(amount)) * IN_EACH_BYTE,
        .flips = which == OTHER_ONES ? UINT64_MAX : 0,
        .takes = which == ALL ? UINT64_MAX : 0,
    };
}

/* The index of the next one, NOBODY after the last. */
static inline uint32_t next_end(selected_ends *s) {
    while (!s->pending) {
        if (s->at >= s->degree) return NOBODY;
        uint64_t eight;
        memcpy(&eight, s->hints + s->at, sizeof eight);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        eight = __builtin_bswap64(eight);
#endif
        /* No byte carries into the next one: a grade and what it lacks are 0x7f each at the most. */
        s->pending = (eight & HIGHEST_GRADE * IN_EACH_BYTE) + s->up_to_grade;
        s->pending &= ((eight ^ s->flips) | s->takes) & OWED * IN_EACH_BYTE;
        s->at += 8;
    }
    uint32_t index = s->at - 8 + (uint32_t)__builtin_ctzll(s->pending) / 8;
    s->pending &= s->pending - 1;
    return index;
}

#endif
