/* Chooses how a question is searched, and prepares and clears the working memory. */
#include <stdlib.h>

#include "scratch.h"
#include "search.h"

static void mark_avoided(scratch *work, const uint32_t *users, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        touch(work, users[i]);
        work->is_avoided[users[i]] = true;
    }
}

/* What a path that goes through costs when the receiver bears the fees, UINT64_MAX if it does not. */
static uint64_t fees_received(const network *net, const question *asked, const answer *along) {
    walk state = {.moved = asked->value, .onward = asked->value};
    for (uint32_t i = 1; i < along->path_length; i++) {
        hop over = hop_over(end_between(net, along->path[i - 1], along->path[i]), true, asked->at);
        walk before = state;
        if (!walk_step(net, true, &before, &over, &state)) return UINT64_MAX;
    }
    return asked->value - state.moved;
}

/* Fees with which some path is known to go through: what passes with the fees on top passes with them taken out. */
static uint64_t known_fees(network *net, scratch *work, const question *asked, answer *out) {
    if (!asked->receiver_pays || asked->begun_count != 1 || net->prevents_mediator_interests || net->divisor < 2)
        return UINT64_MAX;
    uint32_t receiver = asked->target;
    question turned = *asked;
    turned.receiver_pays = false;
    turned.begun = &receiver;
    turned.target = asked->begun[0];
    turned.max_fees = UINT64_MAX;
    answer along = {0};
    uint64_t fees = UINT64_MAX;
    if (asked->not_next_count == 0 && cheapest_sender_pays(net, work, &turned, &along) == FOUND)
        fees = fees_received(net, asked, &along);
    out->work += along.work;
    free(along.path);
    return fees;
}

static bool is_narrow(const network *net, const question *asked) {
    return !asked->receiver_pays && !net->prevents_mediator_interests;
}

static outcome search_with(network *net, scratch **work, const question *asked, answer *out) {
    if (is_narrow(net, asked)) {
        outcome result = cheapest_sender_pays(net, *work, asked, out);
        /* The cheapest of all paths is the cheapest of the short ones, if it is short. */
        if (result != FOUND || out->path_length - 1 <= asked->max_hops) return result;
        free(out->path);
        *out = (answer){.work = out->work};
    }
    uint64_t fees = asked->max_hops == UINT32_MAX ? known_fees(net, *work, asked, out) : UINT64_MAX;
    scratch_give_back(net, *work);
    *work = scratch_take(net);
    if (*work == NULL) return NO_MEMORY;
    mark_avoided(*work, asked->avoid, asked->avoid_count);
    mark_avoided(*work, asked->begun, asked->begun_count);
    return cheapest_of_any(net, *work, asked, fees, out);
}

outcome cheapest(network *net, const question *asked, answer *out) {
    *out = (answer){0};
    scratch *work = scratch_take(net);
    if (work == NULL) return NO_MEMORY;
    mark_avoided(work, asked->avoid, asked->avoid_count);
    mark_avoided(work, asked->begun, asked->begun_count);
    outcome result = search_with(net, &work, asked, out);
    if (work != NULL) scratch_give_back(net, work);
    return result;
}
