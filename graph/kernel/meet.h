/* Two exact walks that meet: the most that can leave a user on a way from the sender, and the least that has to leave it
 * on a way to the receiver, the sender bearing the fees. See meet.c. */
#ifndef TL_MEET_H
#define TL_MEET_H

#include "ends.h"
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

/* What the payee of a hop can do with what its payer has: pass it on, or keep it as the receiver. The end is the payer's
 * (is_payer) or the payee's. */
static inline uint64_t passed(const meeting *m, const end *e, bool is_payer, uint64_t amount, uint32_t payee) {
    passage over;
    if (!passage_over(e, is_payer, m->asked->at, &over)) return 0;
    uint64_t arriving = amount < over.most ? amount : over.most;
    return payee == m->receiver ? arriving : forwardable(arriving, (wide)over.owed, m->net->divisor);
}

/* The end of a user that leads to one who has no other trustline, and so has no hint; NULL if there is none. */
static inline const end *end_to_only(const meeting *m, uint32_t u, uint32_t other) {
    const user *alone = &m->net->users[other];
    return alone->degree == 1 && alone->ends[0].other == u ? &m->net->users[u].ends[alone->ends[0].twin] : NULL;
}

static inline bool may_pass(const meeting *m, const scratch *work, uint32_t u) {
    return u == m->receiver || u == m->sender || !work->is_avoided[u];
}

/* So often the walks begin anew; then one of them goes to its end. */
#define MOST_TURNS 16

/* Replaces working memory by a blank one in which those to avoid are marked. */
void renew(meeting *m, scratch **work);

/* Begin a walk anew. */
void begin_out(meeting *m, uint64_t leaving);
void begin_in(meeting *m, uint64_t value);

/* Takes up the next user of the walk out. */
void step_out(meeting *m);

/* To be called wherever a label of a user that both walks know has changed. */
void join(meeting *m, uint32_t u);

/* Until they meet, or cannot any more; for the fewest hops until no meeting would have fewer. */
void grow_both(meeting *m);

/* One of them alone, to its end. */
void go_on(meeting *m, heap *h, const label *labels, void (*step)(meeting *));

void drop_settled(heap *h, const label *labels);

/* The most that any of a user's hops can move, as payer or payee. */
uint64_t most_at(const meeting *m, uint32_t u, bool is_payer);

/* The cheapest path for the value `best`, over which a way is known: fewest hops, then first keys among equals. */
outcome find_path(meeting *m, answer *along);

/* The same for the value asked for, which is not 0. */
outcome meet_for(meeting *m, answer *along);

/* The most that any hop of the sender, and any of the receiver, can move. */
uint64_t meet_most(const meeting *m);

/* Gives back and frees what it holds. */
void meet_end(meeting *m);

#endif
