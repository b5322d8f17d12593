/* Where the receiver pays, a walk with lower fees carries more, and so may not fit where a dearer one does. That matters
 * on tight trustlines only: those over which the most that can reach them does not pass, but so much that the fees can
 * still stay within what is allowed.
 *
 * The most that can reach a user is walked from the start as if every trustline let its capacity pass of whatever comes.
 * The least that must reach a user is walked back from the target. What is left of a hop is f(a) = a - ceil((a - b) / d),
 * which grows with a, by no more than a does; so the fees of a path grow with the amount too, and are lowest for the
 * least amount. Over the tight trustlines it is walked back once more, from all of them at once.
 */
#include "tight.h"

#include <stdlib.h>

typedef struct {
    const network *net;
    const scratch *work;
    const question *asked;
    uint32_t start;
    uint64_t max_fees, lowest; /* the fees allowed, and what then arrives */
    uint64_t *spent;
    tight *found;
} search;

static bool may_go(const search *s, uint32_t u, uint32_t p) {
    const question *asked = s->asked;
    if (p == s->start || u == asked->target || (p != asked->target && s->work->is_avoided[p])) return false;
    if (u != s->start) return true;
    if (is_among(asked->not_next, asked->not_next_count, p)) return false;
    return !(p == asked->target && asked->begun_count == 2 && is_among(asked->begun, 2, p));
}

static outcome relax(search *s, label *labels, uint32_t u, uint64_t cost, uint32_t hops) {
    label *there = &labels[u];
    if (there->is_reached && !comes_before(cost, hops, there->cost, there->hops)) return FOUND;
    *there = (label){.cost = cost, .hops = hops, .is_reached = true};
    return heap_push(&s->found->open, (entry){cost, hops, u}) ? FOUND : NO_MEMORY;
}

/* The next user whose ends are to be looked at; NOBODY if there is none. */
static uint32_t settle(search *s, label *labels, outcome *failed) {
    heap *open = &s->found->open;
    while (open->count) {
        uint32_t u = heap_pop(open).user;
        if (labels[u].is_settled) continue;
        labels[u].is_settled = true;
        if (!is_spent(s->asked, s->spent, s->net->users[u].degree)) return u;
        *failed = SPENT;
        return NOBODY;
    }
    return NOBODY;
}

/* The most that passes a hop, as fees. */
static outcome go_ahead(search *s, uint32_t u, const end *e) {
    uint32_t p = e->other;
    if ((e->leads_nowhere && p != s->asked->target) || !may_go(s, u, p)) return FOUND;
    hop h = hop_over(e, true, s->asked->at);
    uint64_t amount = s->asked->value - s->found->ahead[u].cost;
    /* Nobody comes to the start with less. */
    if (!can_pay(&h, u == s->start ? amount : s->lowest)) return FOUND;
    if (h.capacity < (wide)amount) amount = (uint64_t)h.capacity;
    if (p != s->asked->target) amount -= fee_withheld(imbalance(amount, h.balance), s->net->divisor);
    if (amount < s->lowest) return FOUND;
    return relax(s, s->found->ahead, p, s->asked->value - amount, s->found->ahead[u].hops + 1);
}

/* The least that a payer must have for so much to be left after a hop, both as fees; false if it cannot have it. */
static bool least_before(const search *s, uint32_t payer, uint32_t payee, const hop *h, uint64_t left, uint64_t *fees) {
    const label *ahead = &s->found->ahead[payer];
    if (!ahead->is_reached || !may_go(s, payer, payee)) return false;
    uint64_t amount = s->lowest + left;
    if (payee != s->asked->target && !add_fee(amount, h->balance, s->net->divisor, &amount)) return false;
    *fees = amount - s->lowest;
    return can_pay(h, amount) && *fees <= s->max_fees - ahead->cost;
}

/* Walks back to all that can still come to one of the users in the heap. */
static outcome go_back(search *s, label *labels) {
    outcome failed = FOUND;
    for (uint32_t u; (u = settle(s, labels, &failed)) != NOBODY;) {
        const user *owner = &s->net->users[u];
        for (uint32_t i = 0; i < owner->degree && failed == FOUND; i++) {
            hop h = hop_over(&owner->ends[i], false, s->asked->at);
            uint32_t payer = owner->ends[i].other;
            uint64_t fees;
            if (least_before(s, payer, u, &h, labels[u].cost, &fees))
                failed = relax(s, labels, payer, fees, labels[u].hops + 1);
        }
    }
    return failed;
}

static outcome go_ahead_from(search *s) {
    outcome failed = FOUND;
    for (uint32_t u; (u = settle(s, s->found->ahead, &failed)) != NOBODY;)
        for (uint32_t i = 0; i < s->net->users[u].degree && failed == FOUND; i++)
            failed = go_ahead(s, u, &s->net->users[u].ends[i]);
    return failed;
}

/* Begins at the tight trustlines of a user. */
static outcome take_tight(search *s, uint32_t u) {
    const user *owner = &s->net->users[u];
    uint64_t most = s->asked->value - s->found->ahead[u].cost;
    for (uint32_t i = 0; i < owner->degree; i++) {
        const label *rest = &s->found->rest[owner->ends[i].other];
        if (!rest->is_reached) continue;
        hop h = hop_over(&owner->ends[i], true, s->asked->at);
        uint64_t fees;
        if (h.capacity >= (wide)most) continue;
        if (!least_before(s, u, owner->ends[i].other, &h, rest->cost, &fees)) continue;
        s->found->is_any = true;
        if (relax(s, s->found->through, u, fees, rest->hops + 1) != FOUND) return NO_MEMORY;
    }
    return FOUND;
}

static outcome find(search *s, const walk *begun) {
    outcome failed = relax(s, s->found->ahead, s->start, s->asked->value - begun->onward, begun->hops);
    if (failed == FOUND) failed = go_ahead_from(s);
    if (failed != FOUND) return failed;
    if (!s->found->ahead[s->asked->target].is_reached) return NOT_FOUND;
    failed = relax(s, s->found->rest, s->asked->target, 0, 0);
    if (failed == FOUND) failed = go_back(s, s->found->rest);
    for (uint32_t u = 0; u < s->net->user_count && failed == FOUND; u++) {
        if (!s->found->rest[u].is_reached || u == s->asked->target || u == s->start) continue;
        if (is_spent(s->asked, s->spent, s->net->users[u].degree)) return SPENT;
        failed = take_tight(s, u);
    }
    if (failed == FOUND) failed = go_back(s, s->found->through);
    if (failed == FOUND && !s->found->rest[s->start].is_reached) return NOT_FOUND;
    return failed;
}

outcome tight_find(const network *net, const scratch *work, const question *asked, const walk *begun, uint64_t max_fees,
                   uint64_t *spent, tight *found) {
    search s = {.net = net, .work = work, .asked = asked, .max_fees = max_fees, .spent = spent, .found = found};
    s.start = asked->begun[asked->begun_count - 1];
    if (s.max_fees > asked->value) s.max_fees = asked->value;
    s.lowest = asked->value - s.max_fees;
    label *all = calloc(3 * (size_t)net->user_count, sizeof *all);
    *found = (tight){.ahead = all, .rest = all + net->user_count, .through = all + 2 * (size_t)net->user_count};
    return all == NULL ? NO_MEMORY : find(&s, begun);
}

void tight_free(tight *found) {
    free(found->ahead);
    free(found->open.entries);
    *found = (tight){0};
}
