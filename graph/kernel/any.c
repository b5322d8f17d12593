/* The search that takes any question: both fee payers, hop limits, mediators' interests, cycles.
 *
 * It takes up walks in the order of the least that they can cost in the end, then hops, then path, and drops one for
 * another to the same user (graph/search.py says why that is exact):
 *
 * - boldly, for one with no higher fees, no more hops and no later path. If the sender pays that is enough: then fees
 *   that differ go on to differ, so one with fewer hops is better whatever its path;
 * - cautiously, where mediators' interests count, for one that moves the same amounts over a part of the same users;
 * - where the receiver pays, boldly when no path as good as the best one known goes on from there over a tight
 *   trustline (tight.c), for then more passes wherever less does, and who comes back to a user can leave out what lies
 *   between. Else cautiously, with other users too if from those no such path goes on over a tight trustline.
 *
 * Bounds tell what is worth going on with: hops to the target, where hops are limited; if the narrow search has been at
 * work, the fees and hops of a good path, and the least that is still to come at every user.
 *
 * The cautious rules can take exponential time, and must: with trustlines that let anything pass but the last one, a path
 * may have to go over all users to become small enough for it. Whether there is one is the Hamiltonian path problem.
 */
#include <stdlib.h>

#include "scratch.h"
#include "search.h"
#include "tight.h"
#include "walks.h"

/* So much work may be for nothing, and as much as has been done. */
#define LITTLE_WORK 4096

typedef struct {
    const network *net;
    const question *asked;
    scratch *work; /* bound: the least fees to the target; exact: hops to it, and as parent the best walk that
                    * waits at a user, if is_settled; first: the last walk taken up there */
    walks walks;
    uint64_t max_fees; /* of the walks still wanted, and, if they cost so much, their hops */
    uint32_t hops_at_max_fees;
    bool has_fee_bounds, has_hop_bounds;
    uint32_t hops_beyond; /* the fewest hops to the target from users without a bound of hops */
    bool is_bold;
    tight tight; /* blank as long as it is not looked into */
    uint64_t spent;
} search;

/* --- which walks are worth going on with --- */

static bool has_passed(const search *s, uint32_t index, uint32_t u) {
    for (; index != NOBODY; index = s->walks.steps[index].before)
        if (s->walks.steps[index].user == u) return true;
    return false;
}

/* Whether a walk with these fees and hops so far can still end as well as the best one known. */
static bool is_worth(const search *s, const label *rest, uint64_t fees, uint32_t hops) {
    if (!rest->is_reached || rest->cost > s->max_fees - fees) return false;
    if (fees + rest->cost < s->max_fees) return true;
    return hops <= s->hops_at_max_fees && rest->hops <= s->hops_at_max_fees - hops;
}

/* Whether a walk could leave out what lies between a user it has passed and the same user on the other's way on. */
static bool can_cut(const search *s, const step *later, uint32_t u) {
    if (s->tight.through == NULL) return false;
    return !is_worth(s, &s->tight.through[u], later->fees, later->state.hops + 1);
}

static bool passes_only(const search *s, uint32_t index, uint32_t over) {
    for (uint32_t i = index; i != NOBODY; i = s->walks.steps[i].before) {
        uint32_t u = s->walks.steps[i].user;
        if (!has_passed(s, over, u) && !can_cut(s, &s->walks.steps[over], u)) return false;
    }
    return true;
}

/* Whether one walk can go wherever another at the same user can, moving the same amounts. */
static bool covers(const search *s, const walk *one, const walk *other) {
    if (one->onward != other->onward || (one->hops == 0) != (other->hops == 0)) return false;
    if (s->asked->receiver_pays && one->moved != other->moved) return false;
    if (!one->has_bound) return true;
    if (!other->has_bound) return false;
    return s->asked->receiver_pays ? one->bound <= other->bound : one->bound >= other->bound;
}

static bool dominates(const search *s, uint32_t taken, uint32_t later) {
    const step *one = &s->walks.steps[taken], *other = &s->walks.steps[later];
    const walk *a = &one->state, *b = &other->state;
    if (a->hops > b->hops) return false;
    bool is_fit = s->is_bold;
    if (s->tight.through != NULL) is_fit = !is_worth(s, &s->tight.through[other->user], other->fees, b->hops);
    if (is_fit && (a->hops < b->hops || compare_paths(&s->walks, taken, later) <= 0)) return true;
    return !s->is_bold && covers(s, a, b) && passes_only(s, taken, later);
}

/* The bold rule if the sender pays: different amounts stay different, and of equal ones the earlier path comes first, so
 * walks to a user are taken up only with fewer and fewer hops. */
static bool has_fewer(const search *s, uint32_t u, uint32_t hops) {
    uint32_t taken = s->work->first[u];
    return taken != NOBODY && s->walks.steps[taken].state.hops <= hops;
}

static bool is_dominated(search *s, uint32_t index) {
    uint32_t taken = s->work->first[s->walks.steps[index].user], hops = s->walks.steps[index].state.hops;
    if (s->is_bold && !s->asked->receiver_pays) return has_fewer(s, s->walks.steps[index].user, hops);
    for (; taken != NOBODY; taken = s->walks.steps[taken].next) {
        /* Comparing costs time too, by the length of the paths, and where many walks meet it is most of it. */
        s->spent += s->is_bold ? 1 : 1 + hops;
        if (dominates(s, taken, index)) return true;
    }
    return false;
}

/* The least (fees, hops) that a walk has before it at a user, as the narrow search has found; false if no path. */
static bool rest_of(const search *s, uint32_t u, uint64_t *fees, uint32_t *hops) {
    const label *rest = &s->work->bound[u];
    const heap *open = &s->work->bound_heap;
    if (!rest->is_settled && open->count == 0) return false;
    *fees = rest->is_settled ? rest->cost : open->entries[0].cost;
    *hops = rest->is_settled ? rest->hops : open->entries[0].hops;
    return true;
}

/* Walks are taken up in this order. It never falls along a walk, for no fee is lower than what the bounds take it for; and
 * of two walks to the same user the one with lower fees still comes first. */
static uint64_t least_total(const search *s, uint32_t u, uint64_t fees) {
    uint64_t more = 0;
    uint32_t hops;
    if (s->has_fee_bounds && u != s->asked->target) rest_of(s, u, &more, &hops);
    return fees + more;
}

/* Whether the target is too far from a user for a walk of so many hops. */
static bool is_late(const search *s, uint32_t u, uint32_t hops) {
    if (hops > s->asked->max_hops) return true;
    if (!s->has_hop_bounds) return false;
    const label *rest = &s->work->exact[u];
    return (rest->is_reached ? rest->hops : s->hops_beyond) > s->asked->max_hops - hops;
}

static bool is_hopeless(const search *s, uint32_t u, uint64_t fees, uint32_t hops) {
    if (fees > s->max_fees) return true;
    if (s->tight.rest != NULL && !is_worth(s, &s->tight.rest[u], fees, hops)) return true;
    if (!s->has_fee_bounds) return false;
    uint64_t more;
    uint32_t more_hops;
    if (!rest_of(s, u, &more, &more_hops) || more > s->max_fees - fees) return true;
    return fees + more == s->max_fees && hops + more_hops > s->hops_at_max_fees;
}

/* --- bounds, walked from the target --- */

/* The smallest amount that a walk within the fees wanted can still move. */
static uint64_t least_amount(const search *s) {
    if (!s->asked->receiver_pays) return s->asked->value;
    return s->max_fees < s->asked->value ? s->asked->value - s->max_fees : 0;
}

/* Walks from the target in breadth until it comes to the start, or nowhere within the hops allowed. */
static outcome find_hop_bounds(search *s, uint32_t start) {
    heap *open = &s->work->doubts;
    label *bounds = s->work->exact;
    uint64_t least = least_amount(s);
    uint32_t target = s->asked->target, most = s->asked->max_hops;
    bool is_cycle = s->asked->begun_count == 2 && is_among(s->asked->begun, 2, target);
    for (uint32_t i = 0; i < s->work->touched_count; i++) bounds[s->work->touched[i]] = (label){0};
    open->count = 0;
    touch(s->work, target);
    bounds[target].is_reached = true;
    s->has_hop_bounds = true;
    s->hops_beyond = UINT32_MAX;
    if (!append_entry(open, (entry){0, 0, target})) return NO_MEMORY;
    for (size_t at = 0; at < open->count; at++) {
        entry here = open->entries[at];
        s->hops_beyond = here.hops + 1;
        if (here.hops >= most) return FOUND;
        const user *owner = &s->net->users[here.user];
        if (is_spent(s->asked, &s->spent, owner->degree)) return SPENT;
        for (uint32_t i = 0; i < owner->degree; i++) {
            uint32_t p = owner->ends[i].other;
            if (bounds[p].is_reached || (p == start ? is_cycle && here.hops == 0 : s->work->is_avoided[p])) continue;
            hop h = hop_over(&owner->ends[i], !s->asked->receiver_pays, s->asked->at);
            if (!can_pay(&h, least)) continue;
            touch(s->work, p);
            bounds[p] = (label){.hops = here.hops + 1, .is_reached = true};
            if (p == start) most = here.hops + 1;
            if (!append_entry(open, (entry){0, here.hops + 1, p})) return NO_MEMORY;
        }
    }
    s->hops_beyond = UINT32_MAX;
    return FOUND;
}

/* --- the search --- */

static bool may_go(const search *s, uint32_t index, uint32_t p) {
    bool is_begun = s->walks.steps[index].state.hops + 1 == s->asked->begun_count;
    if (is_begun && is_among(s->asked->not_next, s->asked->not_next_count, p)) return false;
    if (p == s->asked->target)
        /* A cycle does not come back over the trustline with which it began. */
        return !(is_begun && s->asked->begun_count == 2 && has_passed(s, index, p));
    return !s->work->is_avoided[p] && !has_passed(s, index, p);
}

/* Whether a walk of a bold search that the sender pays for is none worth waiting, for a better one to the same user waits;
 * else it is the one to compare the next with. `added` is the last of the steps. */
static bool is_outdone(search *s, uint32_t added) {
    const step *new = &s->walks.steps[added];
    label *here = &s->work->exact[new->user];
    if (here->is_settled) {
        const step *other = &s->walks.steps[here->parent];
        if (other->fees <= new->fees && other->state.hops <= new->state.hops) {
            bool is_same = other->fees == new->fees && other->state.hops == new->state.hops;
            if (!is_same || compare_paths(&s->walks, here->parent, added) < 0) return true;
        } else if (new->fees > other->fees || new->state.hops > other->state.hops) {
            return false;
        }
    }
    touch(s->work, new->user);
    here->is_settled = true;
    here->parent = added;
    return false;
}

static bool extend(search *s, uint32_t index) {
    bool is_simple = s->is_bold && !s->asked->receiver_pays;
    step from = s->walks.steps[index];
    const user *owner = &s->net->users[from.user];
    for (uint32_t i = 0; i < owner->degree; i++) {
        uint32_t p = owner->ends[i].other;
        if (owner->ends[i].leads_nowhere && p != s->asked->target) continue;
        if (is_late(s, p, from.state.hops + 1)) continue;
        if (is_simple && has_fewer(s, p, from.state.hops + 1)) continue;
        if (!may_go(s, index, p)) continue;
        hop h = hop_over(&owner->ends[i], s->asked->receiver_pays, s->asked->at);
        step longer = {.user = p, .before = index, .next = NOBODY};
        if (!walk_step(s->net, s->asked->receiver_pays, &from.state, &h, &longer.state)) continue;
        /* At the target the walk ends; anywhere else the mediator's own fee is already certain. */
        uint64_t amount = p == s->asked->target ? longer.state.moved : longer.state.onward;
        longer.fees = s->asked->receiver_pays ? s->asked->value - amount : amount - s->asked->value;
        if (is_hopeless(s, p, longer.fees, longer.state.hops)) continue;
        longer.at_least = least_total(s, p, longer.fees);
        uint32_t added;
        if (!add_step(&s->walks, longer, &added)) return false;
        if (is_simple && is_outdone(s, added))
            s->walks.step_count--;
        else if (!enqueue(&s->walks, added))
            return false;
    }
    return true;
}

static bool begin(search *s, const walk *begun) {
    uint32_t index = NOBODY, count = s->asked->begun_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t u = s->asked->begun[s->asked->receiver_pays ? i : count - 1 - i];
        step passed = {.user = u, .before = index, .next = NOBODY, .state = {.hops = i}};
        if (!add_step(&s->walks, passed, &index)) return false;
    }
    s->walks.steps[index].state = *begun;
    uint64_t onward = begun->onward;
    s->walks.steps[index].fees = s->asked->receiver_pays ? s->asked->value - onward : onward - s->asked->value;
    return enqueue(&s->walks, index);
}

/* Takes up walks until one reaches the target. */
static outcome run(search *s, const walk *begun, bool is_bold, uint32_t *reached) {
    s->is_bold = is_bold;
    for (uint32_t i = 0; i < s->walks.step_count; i++) s->work->first[s->walks.steps[i].user] = NOBODY;
    s->walks.step_count = s->walks.queue_count = 0;
    if (!begin(s, begun)) return NO_MEMORY;
    while (s->walks.queue_count) {
        uint32_t index = dequeue(&s->walks);
        step *here = &s->walks.steps[index];
        if (here->user == s->asked->target && here->state.hops > begun->hops) {
            *reached = index;
            return FOUND;
        }
        if (is_dominated(s, index)) continue;
        touch(s->work, here->user);
        here->next = s->work->first[here->user];
        s->work->first[here->user] = index;
        if (is_spent(s->asked, &s->spent, s->net->users[here->user].degree)) return SPENT;
        if (here->state.hops < s->asked->max_hops && !extend(s, index)) return NO_MEMORY;
    }
    return NOT_FOUND;
}

static bool keep_path(const search *s, uint32_t index, answer *out) {
    uint32_t length = s->walks.steps[index].state.hops + 1;
    uint32_t *path = malloc(length * sizeof *path);
    if (path == NULL) return false;
    for (uint32_t i = 0; i < length; i++, index = s->walks.steps[index].before)
        path[s->asked->receiver_pays ? length - 1 - i : i] = s->walks.steps[index].user;
    free(out->path);
    out->path = path;
    out->path_length = length;
    return true;
}

/* Walks out what can be reached with little work: to look for tight trustlines is to look at all within the fees. */
static outcome walk_out(search *s, const walk *begun, uint32_t *reached) {
    const question *asked = s->asked;
    question little = *asked;
    uint64_t most = s->spent + (s->spent > LITTLE_WORK ? s->spent : LITTLE_WORK);
    if (little.budget > most) little.budget = most;
    s->asked = &little;
    outcome result = run(s, begun, false, reached);
    s->asked = asked;
    return result;
}

/* The bold rule may have missed a path that is no worse than the one it found, if it found one. */
static outcome make_sure(search *s, const walk *begun, outcome bold, answer *out) {
    uint32_t reached;
    outcome cautious = SPENT;
    bool by_amounts = !s->net->prevents_mediator_interests;
    if (by_amounts) cautious = walk_out(s, begun, &reached);
    if (by_amounts && cautious == SPENT) {
        outcome looked = tight_find(s->net, s->work, s->asked, begun, s->max_fees, &s->spent, &s->tight);
        if (looked == NO_MEMORY || looked == NOT_FOUND) return looked;
        if (looked == FOUND && bold == FOUND && !s->tight.is_any) {
            out->is_proven = true;
            return FOUND;
        }
        if (looked == SPENT) return bold == FOUND ? FOUND : SPENT;
    }
    if (cautious == SPENT) cautious = run(s, begun, false, &reached);
    if (cautious == SPENT && bold == FOUND) return FOUND;
    if (cautious != FOUND) return cautious;
    out->is_proven = true;
    return keep_path(s, reached, out) ? FOUND : NO_MEMORY;
}

static outcome find(search *s, const walk *begun, answer *out) {
    uint32_t reached;
    if (s->asked->max_hops != UINT32_MAX) {
        outcome bounded = find_hop_bounds(s, s->asked->begun[s->asked->receiver_pays ? s->asked->begun_count - 1 : 0]);
        if (bounded != FOUND) return bounded;
    }
    outcome bold = run(s, begun, true, &reached);
    if (bold == NO_MEMORY || bold == SPENT) return bold;
    if (bold == FOUND) {
        if (!keep_path(s, reached, out)) return NO_MEMORY;
        s->max_fees = s->walks.steps[reached].fees;
        s->hops_at_max_fees = s->walks.steps[reached].state.hops;
    }
    out->is_proven = !s->net->prevents_mediator_interests && (!s->asked->receiver_pays || s->net->divisor == 0);
    return out->is_proven ? bold : make_sure(s, begun, bold, out);
}

outcome cheapest_of_any(network *net, scratch *work, const question *asked, known_path known, bool has_bounds,
                        answer *out) {
    search s = {.net = net, .asked = asked, .work = work, .max_fees = asked->max_fees, .has_fee_bounds = has_bounds};
    s.hops_at_max_fees = UINT32_MAX;
    s.walks = (walks){.net = net, .is_forwards = asked->receiver_pays};
    if (known.fees <= s.max_fees) {
        s.max_fees = known.fees;
        s.hops_at_max_fees = known.hops;
    }
    walk begun;
    if (!walk_begun(net, asked, &begun)) return NOT_FOUND;
    outcome result = find(&s, &begun, out);
    for (uint32_t i = 0; i < s.walks.step_count; i++) touch(work, s.walks.steps[i].user);
    out->work += s.spent;
    tight_free(&s.tight);
    walks_free(&s.walks);
    return result;
}
