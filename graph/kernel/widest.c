/* The largest value that can be sent, the sender bearing the fees: how it is searched.
 *
 * Without a hop limit two walks meet, see meet.c. With one a single walk goes forwards from the sender: the label of a user
 * is the largest amount that can leave it, a larger one is never worse, and a user is taken up again with fewer hops. */
#include "meet.h"

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
            hop h = hop_over(&owner->ends[i], true, m->asked->at);
            uint64_t amount = passed(m, &h, turned(top.cost), p);
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
        result = meet(&m, along);
    } else {
        renew(&m, &m.out);
        result = m.failed == FOUND ? within_hops(&m) : m.failed;
    }
    if (m.out != NULL) scratch_give_back(net, m.out);
    if (m.in != NULL) scratch_give_back(net, m.in);
    free(m.way);
    *value = m.best;
    *work = m.spent;
    return result;
}
