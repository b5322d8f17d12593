#include "money.h"

#define YEAR_AND_RATE 315360000000ULL /* seconds of a year times the units of a rate of 100 % */
#define ORDERS 15
#define LIMBS 6

/* A magnitude of up to 384 bits: with a negative rate the terms of the series may outgrow 128 bits before they
 * shrink, 2^64 * 447^15 / 15! being the worst that rates and times of the contract's types can make. */
typedef struct {
    uint64_t limb[LIMBS];
} magnitude;

static void multiply(magnitude *m, uint64_t factor) {
    uwide carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uwide)m->limb[i] * factor;
        m->limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void divide(magnitude *m, uint64_t divisor) {
    uwide rest = 0;
    for (int i = LIMBS - 1; i >= 0; i--) {
        rest = rest << 64 | m->limb[i];
        m->limb[i] = (uint64_t)(rest / divisor);
        rest %= divisor;
    }
}

static void add(magnitude *sum, const magnitude *m) {
    uwide carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uwide)sum->limb[i] + m->limb[i];
        sum->limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static bool is_zero(const magnitude *m) {
    for (int i = 0; i < LIMBS; i++)
        if (m->limb[i]) return false;
    return true;
}

/* The magnitude of gained - lost where it is positive and no larger than limit, else 0. */
static uint64_t difference(const magnitude *gained, const magnitude *lost, uint64_t limit) {
    magnitude result;
    uint64_t borrow = 0;
    for (int i = 0; i < LIMBS; i++) {
        uwide taken = (uwide)lost->limb[i] + borrow;
        borrow = (uwide)gained->limb[i] < taken;
        result.limb[i] = (uint64_t)((uwide)gained->limb[i] - taken);
    }
    if (borrow) return 0;
    for (int i = 1; i < LIMBS; i++)
        if (result.limb[i]) return 0;
    return result.limb[0] <= limit ? result.limb[0] : 0;
}

/* A positive rate: all terms have the sign of the balance, so the sum may be cut off once it is past the limit. */
static uint64_t grown(uint64_t balance, uint64_t growth) {
    uwide total = balance, term = balance;
    for (unsigned order = 1; order <= ORDERS; order++) {
        term = term * growth / (YEAR_AND_RATE * order);
        if (term == 0) break;
        total += term;
        if (total >= MAX_AMOUNT) return MAX_AMOUNT;
    }
    return (uint64_t)total;
}

static uint64_t shrunk(uint64_t balance, uint64_t growth) {
    magnitude gained = {{balance}}, lost = {{0}}, term = {{balance}};
    for (unsigned order = 1; order <= ORDERS; order++) {
        multiply(&term, growth);
        divide(&term, YEAR_AND_RATE * order);
        if (is_zero(&term)) break;
        add(order % 2 ? &lost : &gained, &term);
    }
    return difference(&gained, &lost, balance);
}

wide balance_with_interest(wide balance, int rate_given, int rate_received, uint64_t seconds) {
    int rate = balance > 0 ? rate_given : balance < 0 ? rate_received : 0;
    if (rate == 0 || seconds == 0) return balance;
    uint64_t size = (uint64_t)(balance > 0 ? balance : -balance);
    uint64_t growth = (uint64_t)(rate > 0 ? rate : -rate) * seconds;
    uint64_t after = rate > 0 ? grown(size, growth) : shrunk(size, growth);
    return balance > 0 ? (wide)after : -(wide)after;
}
