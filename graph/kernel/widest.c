/* The largest value that can be sent, the sender bearing the fees.
 *
 * Without a hop limit two exact walks meet, see meet.c. To begin with, a third one bounds roughly what can come through a
 * user: no more than what each hop behind it could pass on. With the walk out it finds a value near the largest. Then the
 * walk out stays, and the walk in begins with one unit more than is known, anew after each meeting, until they do not
 * meet.
 *
 * With a hop limit a single walk goes forwards from the sender: the label of a user is the largest amount that can leave
 * it, a larger one is never worse, and a user is taken up again with fewer hops. */
#include "meet.h"

/* How near to the largest value the rough walk comes: so large a part of it may be missing. */
#define ROUGH_SHARE 16

/* The walk that bounds roughly what can come through a user. */
static void step_bound(meeting *m) {
    entry top = heap_pop(&m->out->bound_heap);
    label *here = &m->out->bound[top.user];
    here->is_settled = true;
    const user *owner = &m->net->users[top.user];
    if (is_spent(m->asked, &m->spent, owner->degree)) m->failed = SPENT;
    for (uint32_t i = 0; i < owner->degree && m->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other, hops = here->hops + 1;
        if (owner->ends[i].leads_nowhere && p != m->sender) continue;
        uint64_t amount = passed(m, &owner->ends[i], false, MAX_AMOUNT, top.user);
        if (amount > here->cost) amount = here->cost;
        if (amount <= m->best) continue;
        label *there = &m->out->bound[p];
        if (there->is_settled || !may_pass(m, m->out, p)) continue;
        if (there->is_reached && !comes_before(turned(amount), hops, turned(there->cost), there->hops)) continue;
        touch(m->out, p);
        *there = (label){
            .cost = amount, .hops = hops, .parent = top.user, .parent_end = owner->ends[i].twin, .is_reached = true};
        if (p != m->sender) push(m, &m->out->bound_heap, turned(amount), hops, p);
        if (m->out->exact[p].is_reached) join(m, p);
    }
}

/* Both until what is left is not larger than the best value by more than a share of it. */
static void grow_roughly(meeting *m) {
    heap *out = &m->out->exact_heap, *bound = &m->out->bound_heap;
    while (m->failed == FOUND) {
        drop_settled(out, m->out->exact);
        drop_settled(bound, m->out->bound);
        uint64_t share = m->best / ROUGH_SHARE;
        uint64_t enough = m->best < MAX_AMOUNT - share ? m->best + share : MAX_AMOUNT;
        if (!out->count || turned(out->entries[0].cost) <= enough) return;
        if (!bound->count || turned(bound->entries[0].cost) <= enough) return;
        if (bound->count <= out->count)
            step_bound(m);
        else
            step_out(m);
    }
}

static void begin_bound(meeting *m, uint64_t arriving) {
    touch(m->out, m->receiver);
    m->out->bound[m->receiver] = (label){.cost = arriving, .is_reached = true};
    push(m, &m->out->bound_heap, turned(arriving), 0, m->receiver);
}

static void find_value(meeting *m) {
    uint64_t leaving = most_at(m, m->sender, true), arriving = most_at(m, m->receiver, false);
    uint64_t most = leaving < arriving ? leaving : arriving;
    if (most == 0) return;
    m->aim = ROUGHLY;
    begin_out(m, leaving);
    if (m->failed != FOUND) return;
    begin_bound(m, arriving);
    grow_roughly(m);
    m->aim = FOR_VALUE;
    m->is_joined = true;
    for (int turn = 0; m->is_joined && m->best < most; turn++) {
        m->is_joined = false;
        if (m->failed == FOUND) begin_in(m, m->best + 1);
        if (m->failed == FOUND) grow_both(m);
        if (turn == MOST_TURNS && m->is_joined) go_on(m, &m->out->exact_heap, m->out->exact, step_out);
    }
}

static outcome without_limit(meeting *m, answer *along) {
    find_value(m);
    if (m->failed != FOUND) return m->failed;
    if (m->best == 0) return NOT_FOUND;
    return along == NULL ? FOUND : find_path(m, along);
}

/* exact: `hops` are the fewest with which a user was taken up. */
static outcome within_hops(meeting *m) {
    heap *open = &m->out->exact_heap;
    touch(m->out, m->sender);
    push(m, open, turned(MAX_AMOUNT), 0, m->sender);
    while (m->failed == FOUND && open->count) {
        entry top = heap_pop(open);
        label *here = &m->out->exact[top.user];
        if (top.user == m->receiver) {
            m->best = turned(top.cost);
            return FOUND;
        }
        if ((here->is_settled && here->hops <= top.hops) || top.hops >= m->asked->max_hops) continue;
        here->is_settled = true;
        here->hops = top.hops;
        const user *owner = &m->net->users[top.user];
        if (is_spent(m->asked, &m->spent, owner->degree)) m->failed = SPENT;
        for (uint32_t i = 0; i < owner->degree && m->failed == FOUND; i++) {
            uint32_t p = owner->ends[i].other;
            const label *there = &m->out->exact[p];
            if (!may_pass(m, m->out, p) || (there->is_settled && there->hops <= top.hops + 1)) continue;
            uint64_t amount = passed(m, &owner->ends[i], true, turned(top.cost), p);
            if (amount == 0) continue;
            touch(m->out, p);
            push(m, open, turned(amount), top.hops + 1, p);
        }
    }
    return m->failed != FOUND ? m->failed : NOT_FOUND;
}

outcome widest(network *net, uint32_t sender, const question *asked, uint64_t *value, answer *along, uint64_t *work) {
    meeting m = {.net = net, .asked = asked, .sender = sender, .receiver = asked->target};
    outcome result;
    if (asked->max_hops == UINT32_MAX) {
        result = without_limit(&m, along);
    } else {
        renew(&m, &m.out);
        result = m.failed == FOUND ? within_hops(&m) : m.failed;
    }
    meet_end(&m);
    *value = m.best;
    *work = m.spent;
    return result;
}
