#include <time.h>

#include "search.h"

/* By how much a hop changes the yearly interest in favour of its payer (unit: amount x rate). */
static wide happiness(const hop *over, uint64_t amount) {
    wide before = over->balance, after = before - amount;
    if (before <= 0) return -(wide)amount * over->rate_received;
    if (after >= 0) return -(wide)amount * over->rate_given;
    return -before * over->rate_given + after * over->rate_received;
}

bool walk_step(const network *net, bool receiver_pays, const walk *before, const hop *over, walk *after) {
    uint64_t amount = before->onward;
    if (!receiver_pays && before->hops && !add_fee(amount, over->balance, net->divisor, &amount)) return false;
    if (!can_pay(over, amount)) return false;
    uint64_t onward = amount;
    if (receiver_pays) onward -= fee_withheld(imbalance(amount, over->balance), net->divisor);
    *after = (walk){.moved = amount, .onward = onward, .hops = before->hops + 1};
    if (!net->prevents_mediator_interests) return true;
    wide gained = happiness(over, amount);
    bool stays_owed = (wide)amount <= over->balance;
    if (before->has_bound) {
        if (receiver_pays ? gained < before->bound && !stays_owed : gained > before->bound) return false;
    }
    after->bound = gained;
    after->has_bound = receiver_pays || !stays_owed;
    return true;
}

bool walk_begun(const network *net, const question *asked, walk *state) {
    *state = (walk){.moved = asked->value, .onward = asked->value};
    for (uint32_t i = 1; i < asked->begun_count; i++) {
        uint32_t last = asked->begun_count - 1;
        uint32_t payer = asked->receiver_pays ? asked->begun[i - 1] : asked->begun[last - i];
        uint32_t payee = asked->receiver_pays ? asked->begun[i] : asked->begun[last - i + 1];
        const end *taken = end_between(net, payer, payee);
        if (taken == NULL) return false;
        hop over = hop_over(taken, true, asked->at);
        walk before = *state;
        if (!walk_step(net, asked->receiver_pays, &before, &over, state)) return false;
    }
    return true;
}

bool is_among(const uint32_t *users, uint32_t count, uint32_t wanted) {
    for (uint32_t i = 0; i < count; i++)
        if (users[i] == wanted) return true;
    return false;
}

bool is_spent(const question *asked, uint64_t *work, uint32_t more) {
    bool asks_clock = asked->deadline > 0 && (*work >> 12) != ((*work + more) >> 12);
    *work += more;
    if (*work > asked->budget) return true;
    if (!asks_clock) return false;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 > asked->deadline;
}
