/* What the two walks of the narrow search know of each other, and what they judge by it: which hops they can take, what
 * those cost, and what can still be as good as the best path known. */
#ifndef TL_NARROW_H
#define TL_NARROW_H

#include "scratch.h"
#include "search.h"

/* An end of a user. */
typedef struct {
    uint32_t user, index;
} arrival;

typedef struct {
    const network *net;
    const question *asked;
    scratch *work;
    uint32_t target, start; /* the far end, and the user at which the begun walk stands */
    arrival at_target; /* the end of the far end's only trustline at the other user, as it has no hint */
    walk begun;
    uint64_t least; /* the smallest amount that a hop can have to move */
    uint64_t least_fees; /* what is known of all bounds but that of the far end: they are no less */
    uint32_t least_hops;
    bool has_seen_target; /* whether the bounding walk has looked at all ends of the far end */
    uint64_t best_fees; /* of the best path known, and its hops */
    uint32_t best_hops;
    bool prunes_bounds; /* whether the bounding walk leaves out what is on no path as good as the best one known */
    uint64_t spent, spent_on_exact;
    outcome failed; /* FOUND while nothing has */
} search;

static inline bool spend(search *s, uint32_t amount) {
    if (is_spent(s->asked, &s->spent, amount)) s->failed = SPENT;
    return s->failed == FOUND;
}

static inline void push(search *s, heap *h, uint64_t cost, uint32_t hops, uint32_t u) {
    if (!heap_push(h, (entry){cost, hops, u})) s->failed = NO_MEMORY;
}

/* The end at which a user's only trustline arrives, and where; NOBODY if the user has more or none. */
static inline arrival only_arrival(const network *net, uint32_t u) {
    const user *alone = &net->users[u];
    if (alone->degree != 1) return (arrival){NOBODY, NOBODY};
    return (arrival){alone->ends[0].other, alone->ends[0].twin};
}

/* Whether the exact walk may go from user u to user p. */
static inline bool may_walk(const search *s, uint32_t u, uint32_t p) {
    if (p == s->start || (p != s->target && s->work->is_avoided[p])) return false;
    if (u != s->start) return true;
    if (is_among(s->asked->not_next, s->asked->not_next_count, p)) return false;
    /* A cycle does not come back over the trustline with which it began. */
    return !(p == s->target && s->asked->begun_count == 2 && is_among(s->asked->begun, 2, p));
}

/* The fee of moving this amount over a trustline; false where it cannot pass. `is_free` where the rules charge none. */
static inline bool fee_over(const search *s, const passage *over, uint64_t amount, bool is_free, uint64_t *fee) {
    *fee = 0;
    uint64_t with_fee = amount;
    if (!is_free && s->asked->receiver_pays)
        *fee = fee_withheld(imbalance(amount, over->owed), s->net->divisor);
    else if (!is_free && !add_fee(amount, over->owed, s->net->divisor, &with_fee))
        return false;
    else
        *fee = with_fee - amount;
    return with_fee <= over->most;
}

/* What the exact walk moves after so many fees, before those of the next hop. */
static inline uint64_t amount_after(const search *s, uint64_t fees) {
    return s->asked->receiver_pays ? s->asked->value - fees : s->asked->value + fees;
}

/* The fees after a hop of the exact walk from a user with these fees and hops; `is_last` where it ends the path. */
static inline bool fees_after(const search *s, const end *e, bool is_payer, uint64_t fees, uint32_t hops, bool is_last,
                       uint64_t *after) {
    passage over;
    if (!passage_over(e, is_payer, s->asked->at, &over)) return false;
    bool is_free = s->asked->receiver_pays ? is_last : hops == 0;
    if (!fee_over(s, &over, amount_after(s, fees), is_free, after)) return false;
    *after += fees;
    return true;
}

/* Whether both walks to a user have no other user in common. */
static inline bool is_simple(const search *s, uint32_t u) {
    for (uint32_t x = u; x != s->target; x = s->work->bound[x].parent)
        for (uint32_t y = u; y != s->start; y = s->work->exact[y].parent)
            if (y == s->work->bound[x].parent) return false;
    return true;
}

/* Follows the bounding walk from a user to the far end, with the amounts that really move. A way round makes the amount
 * smaller where the receiver pays, so that it can pass where the direct way cannot: that is no path. Where the sender
 * pays, the direct way is never dearer. */
static inline void try_to_join(search *s, uint32_t met) {
    uint32_t u = met;
    uint64_t fees = s->work->exact[u].cost;
    uint32_t hops = s->work->exact[u].hops;
    while (u != s->target) {
        const label *there = &s->work->bound[u];
        const end *e = &s->net->users[there->parent].ends[there->parent_end];
        if (!fees_after(s, e, !s->asked->receiver_pays, fees, hops, there->parent == s->target, &fees)) return;
        hops++;
        u = there->parent;
        if (!comes_before(fees, hops, s->best_fees, s->best_hops)) return;
    }
    if (fees > s->asked->max_fees || (s->asked->receiver_pays && !is_simple(s, met))) return;
    s->best_fees = fees;
    s->best_hops = hops;
}

/* Whether no path through a user can be as good as the best one known. What the rest of it costs is known where the other
 * walk has settled the user; elsewhere (rest is NULL) it is no less than where that walk stands. */
static inline bool is_hopeless(const search *s, const label *rest, const heap *other_heap, uint64_t fees, uint32_t hops) {
    uint64_t more;
    uint32_t more_hops;
    if (rest != NULL) {
        more = rest->cost;
        more_hops = rest->hops;
    } else if (other_heap->count) {
        more = other_heap->entries[0].cost;
        more_hops = other_heap->entries[0].hops;
    } else {
        return true; /* the other walk has been everywhere, but not here */
    }
    if (more > MAX_AMOUNT - fees || fees + more > s->asked->max_fees) return true;
    return comes_before(s->best_fees, s->best_hops, fees + more, hops + more_hops);
}

static inline bool is_hopeless_exact(const search *s, uint64_t fees, uint32_t hops, uint32_t u) {
    const label *rest = s->work->state[u] & BOUND_SETTLED ? &s->work->bound[u] : NULL;
    return is_hopeless(s, rest, &s->work->bound_heap, fees, hops);
}

/* The other way round. If the receiver pays, or the best path may prove to be too long, the bounds are for others. If the
 * sender pays no label of the exact walk is higher than what leads to the user on a path. The bounds of a path as good as the best one
 * stay, since it is hopeless nowhere. */
static inline bool is_hopeless_bound(const search *s, uint64_t fees, uint32_t hops, uint32_t u) {
    if (!s->prunes_bounds) return fees > s->asked->max_fees;
    const label *rest = s->work->state[u] & EXACT_SETTLED ? &s->work->exact[u] : NULL;
    return is_hopeless(s, rest, &s->work->exact_heap, fees, hops);
}

/* Where the receiver pays: notes what a walk that the labels leave out would have at a user (see ties.c). */
static __attribute__((noinline)) void doubt(search *s, uint32_t u, uint64_t fees, uint32_t hops) {
    if (is_hopeless_exact(s, fees, hops, u)) return;
    if (!append_entry(&s->work->doubts, (entry){fees, hops, u})) s->failed = NO_MEMORY;
}

/* The same where a dearer walk to the payer might pass a hop, and the one that is taken up cannot. */
static __attribute__((noinline)) void doubt_hop(search *s, const end *e, uint32_t hops) {
    passage over;
    if (!passage_over(e, true, s->asked->at, &over) || over.most < s->least) return;
    uint64_t fee;
    fee_over(s, &over, over.most, e->other == s->target, &fee);
    doubt(s, e->other, s->asked->value - over.most + fee, hops);
}

#endif
