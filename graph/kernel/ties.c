/* Reading off the best path where the receiver pays.
 *
 * The labels of the narrow search are the largest amounts that reach each user, with the fewest hops of those walks.
 * Two things can make a walk matter that they leave out because it has a smaller amount:
 *
 * - a trustline that is too tight for the larger amount;
 * - rounding: two amounts can become the same on the same continuation, by one unit a hop at the most, for a hop passes
 *   on a - ceil((a - b) / d). Then the walk with fewer hops is better in the end, or the earlier one of as many.
 *
 * The narrow search notes the walks that it leaves out for a larger amount although they have fewer hops, and what the
 * amount would be after each hop that is too tight, as doubts. It drops those that cannot end as well as the best path
 * known, with fees F and H hops. If none is left, every path with fees F and at most H hops has at each of its users no
 * larger amount and no fewer hops than the label: take the first user where it has, then the step to that user from the
 * label before it was left out, and is a doubt. In particular no path has lower fees.
 *
 * The paths with fees F are then walked backwards, hop by hop, each with the least amount that must reach a user so that
 * enough arrives: what a user's label does not reach is on none of them. Of the fewest hops the first path is chosen
 * from the sender's end. It passes nobody twice: leaving out what lies between would take fewer hops, and no less would
 * arrive. Where a trustline would let the least amount pass but not the label's, the labels do not tell.
 */
#include <stdlib.h>

#include "scratch.h"
#include "search.h"

typedef struct {
    uint64_t least; /* what must reach the user, for a path of the best fees */
    uint32_t user;
    uint32_t hops; /* from the user to the target */
    uint32_t next; /* the place before this one of the same user */
} place;

typedef struct {
    const network *net;
    const question *asked;
    scratch *work; /* first: the last place of a user */
    uint32_t start, begun_hops;
    uint32_t hops; /* from the start to the target, the fewest */
    known_path best;
    place *places;
    uint32_t count, room;
    uint64_t *spent;
} search;

static bool add(search *s, uint32_t u, uint64_t least, uint32_t hops) {
    if (s->count == s->room) {
        uint64_t room = s->room ? (uint64_t)s->room * 2 : 64;
        place *larger = room < NOBODY ? realloc(s->places, room * sizeof *larger) : NULL;
        if (larger == NULL) return false;
        s->places = larger;
        s->room = (uint32_t)room;
    }
    s->places[s->count] = (place){.least = least, .user = u, .hops = hops, .next = s->work->first[u]};
    s->work->first[u] = s->count++;
    return true;
}

static bool may_go(const search *s, uint32_t u, uint32_t p) {
    if (u != s->start) return true;
    if (is_among(s->asked->not_next, s->asked->not_next_count, p)) return false;
    return !(p == s->asked->target && s->asked->begun_count == 2 && is_among(s->asked->begun, 2, p));
}

/* Goes one hop back from a place, by one end of its user. Without memory, budget or certainty the outcome says so. */
static outcome step_back(search *s, uint32_t from, const end *e) {
    place here = s->places[from];
    uint32_t w = e->other;
    const label *label = &s->work->exact[w];
    if (!label->is_reached || w == s->asked->target || !may_go(s, w, here.user)) return FOUND;
    hop h = hop_over(e, false, s->asked->at);
    uint64_t least = here.least, amount = s->asked->value - label->cost;
    if (here.user != s->asked->target && !add_fee(least, h.balance, s->net->divisor, &least)) return FOUND;
    if (amount < least || h.is_frozen || h.capacity < (wide)least) return FOUND;
    uint32_t hops = here.hops + 1;
    /* Nobody with the label's amount has fewer hops than the label. */
    uint32_t before = amount == least ? label->hops : s->begun_hops + (w != s->start);
    if (hops > s->best.hops - s->begun_hops || before > s->best.hops - hops) return FOUND;
    if (h.capacity < (wide)amount) return NOT_FOUND;
    uint32_t known = s->work->first[w];
    if (known != NOBODY && s->places[known].least <= least) return FOUND;
    if (known != NOBODY && s->places[known].hops == hops) {
        s->places[known].least = least;
        return FOUND;
    }
    return add(s, w, least, hops) ? FOUND : NO_MEMORY;
}

/* Finds all places on paths with the best fees, up to those with as many hops as the start. */
static outcome walk_back(search *s) {
    if (!add(s, s->asked->target, s->asked->value - s->best.fees, 0)) return NO_MEMORY;
    for (uint32_t at = 0; at < s->count; at++) {
        uint32_t u = s->places[at].user;
        /* Places come in the order of their hops. */
        s->hops = s->places[at].hops;
        if (u == s->start) return FOUND;
        const user *owner = &s->net->users[u];
        if (is_spent(s->asked, s->spent, owner->degree)) return SPENT;
        for (uint32_t i = 0; i < owner->degree; i++) {
            outcome stepped = step_back(s, at, &owner->ends[i]);
            if (stepped != FOUND) return stepped;
        }
    }
    return NOT_FOUND;
}

/* Whether enough reaches a user who stands so many hops before the target. */
static bool is_place(const search *s, uint32_t u, uint32_t hops, uint64_t amount) {
    for (uint32_t i = s->work->first[u]; i != NOBODY; i = s->places[i].next)
        if (s->places[i].hops == hops) return s->places[i].least <= amount;
    return false;
}

/* Chooses the next user on the path, the first by key, and tells what reaches it. */
static uint32_t next_user(const search *s, uint32_t u, uint32_t hops, uint64_t amount, uint64_t *onward) {
    const user *owner = &s->net->users[u];
    uint32_t next = NOBODY;
    for (uint32_t i = 0; i < owner->degree; i++) {
        uint32_t p = owner->ends[i].other;
        if (s->work->first[p] == NOBODY || !may_go(s, u, p)) continue;
        if (next != NOBODY && compare_users(s->net, next, p) < 0) continue;
        hop h = hop_over(&owner->ends[i], true, s->asked->at);
        if (!can_pay(&h, amount)) continue;
        uint64_t passed = amount;
        if (hops) passed -= fee_withheld(imbalance(amount, h.balance), s->net->divisor);
        if (!is_place(s, p, hops, passed)) continue;
        next = p;
        *onward = passed;
    }
    return next;
}

static outcome write_path(search *s, uint64_t amount, answer *out) {
    uint32_t hops = s->hops, u = s->start;
    out->path = malloc((s->asked->begun_count + (size_t)hops) * sizeof *out->path);
    if (out->path == NULL) return NO_MEMORY;
    for (uint32_t i = 0; i < s->asked->begun_count; i++) out->path[out->path_length++] = s->asked->begun[i];
    while (hops) {
        u = next_user(s, u, --hops, amount, &amount);
        out->path[out->path_length++] = u;
    }
    out->is_proven = true;
    return FOUND;
}

outcome read_forwards(const network *net, scratch *work, const question *asked, const walk *begun, known_path best,
                      uint64_t *spent, answer *out) {
    search s = {.net = net, .asked = asked, .work = work, .best = best, .begun_hops = begun->hops, .spent = spent};
    s.start = asked->begun[asked->begun_count - 1];
    outcome result = walk_back(&s);
    if (result == FOUND) result = write_path(&s, begun->onward, out);
    for (uint32_t i = 0; i < s.count; i++) work->first[s.places[i].user] = NOBODY;
    free(s.places);
    /* The labels do not tell. */
    return result == NOT_FOUND ? FOUND : result;
}
