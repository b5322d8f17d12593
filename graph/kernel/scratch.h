/* Working memory of a search: a label for every user, wiped by whoever has used it, so that a search costs what it
 * touches and not what the network holds. */
#ifndef TL_SCRATCH_H
#define TL_SCRATCH_H

#include "heap.h"
#include "network.h"

/* What a walk knows of a user.
 * cost: the amount that must leave it (backwards), or the least fees from the other end (a bound). */
typedef struct {
    uint64_t cost;
    uint32_t hops;
    uint32_t parent;     /* the user before */
    uint32_t parent_end; /* of a bound: which of that user's ends leads here */
    bool is_reached;
    bool is_settled;
} label;

/* A user's state in a byte, so that what it rules out needs no look at the labels: TOUCHED and, in the narrow search, where
 * the walks have been. */
enum { TOUCHED = 1, EXACT_REACHED = 2, EXACT_SETTLED = 4, BOUND_REACHED = 8, BOUND_SETTLED = 16 };

typedef struct scratch {
    struct scratch *next;
    uint32_t room;         /* users for whom there is space */
    label *exact, *bound;  /* by user */
    uint32_t *first;       /* by user: its first walk in a general search, NOBODY if none */
    bool *is_avoided;      /* by user */
    uint32_t *touched;     /* users whose entries are not blank */
    uint32_t touched_count;
    uint8_t *state;        /* by user: 0 while its entries are blank */
    heap exact_heap, bound_heap;
    heap doubts; /* a list: walks that the labels leave out */
} scratch;

/* Blank working memory, NULL if there is none to be had. */
scratch *scratch_take(network *net);

/* Wipes it and keeps it for the next search. */
void scratch_give_back(network *net, scratch *work);

void scratch_free_all(network *net);

static inline void touch(scratch *work, uint32_t u) {
    if (work->state[u]) return;
    work->state[u] = TOUCHED;
    work->touched[work->touched_count++] = u;
}

#endif
