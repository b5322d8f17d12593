/* Two exact walks that meet: the most that can leave a user on a way from the sender, and the least that has to leave it
 * on a way to the receiver, the sender bearing the fees. See meet.c. */
#ifndef TL_MEET_H
#define TL_MEET_H

#include "scratch.h"
#include "search.h"

typedef struct {
    network *net;
    const question *asked;
    uint32_t sender, receiver;
    scratch *out; /* exact: the most that can leave a user. bound: the most that can come through it */
    scratch *in;  /* exact: the least that has to leave a user, so that `value` arrives */
    uint64_t leaving;    /* the most that the sender may send */
    uint64_t value;      /* what is to arrive */
    uint64_t best;       /* the largest value known to go through */
    uint64_t least_fees; /* of the ways known over which `value` arrives */
    uint32_t best_hops;  /* of those with the least fees */
    enum { ROUGHLY, FOR_VALUE, FOR_FEES, FOR_HOPS } aim;
    bool is_joined;
    uint32_t *way; /* a way that carries `best` */
    uint32_t way_length, way_room;
    uint64_t spent;
    outcome failed; /* FOUND while nothing has */
} meeting;

/* The heap has the smallest on top. */
static inline uint64_t turned(uint64_t amount) { return MAX_AMOUNT - amount; }

static inline void push(meeting *m, heap *h, uint64_t cost, uint32_t hops, uint32_t u) {
    if (!heap_push(h, (entry){cost, hops, u})) m->failed = NO_MEMORY;
}

/* What the payee of a hop can do with what its payer has: pass it on, or keep it as the receiver. */
static inline uint64_t passed(const meeting *m, const hop *h, uint64_t amount, uint32_t payee) {
    if (h->is_frozen || h->capacity <= 0) return 0;
    uint64_t arriving = (wide)amount < h->capacity ? amount : (uint64_t)h->capacity;
    return payee == m->receiver ? arriving : forwardable(arriving, h->balance, m->net->divisor);
}

static inline bool may_pass(const meeting *m, const scratch *work, uint32_t u) {
    return u == m->receiver || u == m->sender || !work->is_avoided[u];
}

/* Replaces working memory by a blank one in which those to avoid are marked. */
void renew(meeting *m, scratch **work);

/* The largest value, 0 if there is none, and unless `along` is NULL its cheapest path: fewest hops, then first keys among
 * equals. The working memory is left for the caller to give back, and the way to free. */
outcome meet(meeting *m, answer *along);

#endif
