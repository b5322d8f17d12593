/* Chooses how a question is searched, and prepares and clears the working memory. */
#include <stdlib.h>

#include "meet.h"

/* After so much work the narrow search gives way to two exact walks; sooner where the value is so large a part of what the
 * sender can send or the receiver receive that little carries it. */
#define PATIENCE 50000
#define LITTLE_PATIENCE 10000
#define LARGE_PART 16

/* With so many hops that all charge the whole fee, the fees are likely enough. */
#define LIKELY_HOPS 8

/* A limit of more hops says nothing of fees worth knowing. */
#define FEW_HOPS 64

static void mark_avoided(scratch *work, const uint32_t *users, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        touch(work, users[i]);
        work->is_avoided[users[i]] = true;
    }
}

/* What a path costs when the receiver bears the fees: what has begun, and from its last user on another path. */
static known_path as_received(const network *net, const question *asked, const answer *along) {
    known_path none = {UINT64_MAX, UINT32_MAX};
    walk state;
    if (!walk_begun(net, asked, &state)) return none;
    for (uint32_t i = 1; i < along->path_length; i++) {
        hop over = hop_over(end_between(net, along->path[i - 1], along->path[i]), true, asked->at);
        walk before = state;
        if (!walk_step(net, true, &before, &over, &state)) return none;
    }
    return (known_path){asked->value - state.moved, state.hops};
}

static outcome clear(network *net, scratch **work, const question *asked) {
    if (*work != NULL) scratch_give_back(net, *work);
    *work = scratch_take(net);
    if (*work == NULL) return NO_MEMORY;
    mark_avoided(*work, asked->avoid, asked->avoid_count);
    mark_avoided(*work, asked->begun, asked->begun_count);
    return FOUND;
}

/* Some path for a transfer whose receiver pays: what passes with the fees on top passes with them taken out. */
static outcome find_known(network *net, scratch **work, const question *asked, known_path *known, answer *out) {
    walk begun;
    if (!walk_begun(net, asked, &begun)) return FOUND;
    uint32_t receiver = asked->target, start = asked->begun[asked->begun_count - 1];
    question turned = *asked;
    turned.receiver_pays = false;
    turned.begun = &receiver;
    turned.begun_count = 1;
    turned.target = start;
    turned.value = begun.onward;
    turned.max_fees = UINT64_MAX;
    turned.max_hops = UINT32_MAX;
    if (asked->begun_count == 2 && asked->begun[0] == receiver) { /* a cycle, which is not to turn back at once */
        turned.not_next = &start;
        turned.not_next_count = 1;
    }
    answer along = {0};
    known_path none = *known;
    outcome result = narrow(net, *work, &turned, &none, &along);
    if (result == FOUND) *known = as_received(net, asked, &along);
    out->work += along.work;
    free(along.path);
    return result == NO_MEMORY ? NO_MEMORY : clear(net, work, asked);
}

/* What the fees of a path with not too many hops come to; UINT64_MAX where that is half the value or more. */
static uint64_t likely_fees(const network *net, uint64_t value) {
    if (net->divisor == 0) return 0;
    uint64_t hop = value / net->divisor + 1;
    return hop < value / 2 / LIKELY_HOPS ? hop * LIKELY_HOPS : UINT64_MAX;
}

/* The narrow search where the receiver pays. It needs to know the most that the fees can be: the less, the less there is
 * to look at. So they are first taken for what is likely, and if that finds nothing, for those of a path that goes
 * through. `has_bounds` where it has been at work. */
static outcome search_forwards(network *net, scratch **work, const question *asked, known_path *known, bool *has_bounds,
                               answer *out) {
    question likely = *asked;
    likely.max_fees = likely_fees(net, asked->value);
    if (likely.max_fees != UINT64_MAX) {
        bool are_all = net->divisor == 0 || asked->max_fees <= likely.max_fees;
        if (asked->max_fees < likely.max_fees) likely.max_fees = asked->max_fees;
        *has_bounds = true;
        outcome result = narrow(net, *work, &likely, known, out);
        bool is_decided = result == FOUND ? known->fees != UINT64_MAX || out->path != NULL : result != NOT_FOUND;
        if (are_all || is_decided) return result;
        *has_bounds = false;
        if (clear(net, work, asked) != FOUND) return NO_MEMORY;
    }
    if (asked->not_next_count == 0 && find_known(net, work, asked, known, out) != FOUND) return NO_MEMORY;
    if (known->fees == UINT64_MAX && asked->max_fees == UINT64_MAX) return FOUND;
    *has_bounds = true;
    return narrow(net, *work, asked, known, out);
}

/* The narrow search is the faster one mostly, but goes over all that is reached without fees where the value is large or
 * just too large; two walks that are both exact stay small there. `has_bounds` where it is the narrow search that answers. */
static outcome search_backwards(network *net, scratch *work, const question *asked, bool *has_bounds, answer *out) {
    known_path known = {UINT64_MAX, UINT32_MAX};
    *has_bounds = true;
    if (asked->begun_count != 1 || asked->not_next_count || asked->value == 0)
        return narrow(net, work, asked, &known, out);
    meeting m = {.net = net, .asked = asked, .sender = asked->target, .receiver = asked->begun[0]};
    uint64_t most = meet_most(&m), patience = most / LARGE_PART > asked->value ? PATIENCE : LITTLE_PATIENCE;
    if (most < asked->value) return NOT_FOUND;
    question first = *asked;
    if (first.budget > patience) first.budget = patience;
    outcome result = narrow(net, work, &first, &known, out);
    if (result != SPENT || asked->budget <= out->work) return result;
    m.spent = out->work;
    *has_bounds = false;
    result = meet_for(&m, out);
    out->work = m.spent;
    meet_end(&m);
    return result;
}

static outcome search_with(network *net, scratch **work, const question *asked, answer *out) {
    known_path known = {UINT64_MAX, UINT32_MAX};
    bool has_bounds = false;
    if (!net->prevents_mediator_interests) {
        outcome result = asked->receiver_pays ? search_forwards(net, work, asked, &known, &has_bounds, out)
                                              : search_backwards(net, *work, asked, &has_bounds, out);
        /* The cheapest of all paths is the cheapest of the short ones, if it is short. */
        if (result != FOUND || (out->path != NULL && out->path_length - 1 <= asked->max_hops)) return result;
        free(out->path);
        *out = (answer){.work = out->work};
        if (known.hops > asked->max_hops) known = (known_path){UINT64_MAX, UINT32_MAX};
        /* Within few hops the fees may be higher than was thought of. */
        if (asked->receiver_pays && asked->max_hops != UINT32_MAX && known.fees == UINT64_MAX) has_bounds = false;
        if (!has_bounds && clear(net, work, asked) != FOUND) return NO_MEMORY;
    }
    return cheapest_of_any(net, *work, asked, known, has_bounds, out);
}

/* The most that so few hops can cost where the receiver pays: all but the last charge the fee of all that they move. */
static uint64_t most_fees(const network *net, const question *asked) {
    if (!asked->receiver_pays || asked->max_hops > FEW_HOPS) return UINT64_MAX;
    uint64_t amount = asked->value;
    for (uint32_t i = 1; i < asked->max_hops; i++) amount -= fee_withheld(amount, net->divisor);
    return asked->value - amount;
}

outcome cheapest(network *net, const question *any, answer *out) {
    question bounded = *any;
    const question *asked = &bounded;
    uint64_t most = most_fees(net, any);
    if (most < bounded.max_fees) bounded.max_fees = most;
    *out = (answer){0};
    scratch *work = NULL;
    outcome result = clear(net, &work, asked);
    if (result == FOUND) result = search_with(net, &work, asked, out);
    if (work != NULL) scratch_give_back(net, work);
    return result;
}
