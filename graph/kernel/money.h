/* Amounts, interest and fees, exactly as graph/interest.py and graph/fees.py state them.
 *
 * An amount is a uint64 in the network's smallest unit. A balance has 65 bits, so it is wider than any machine word.
 */
#ifndef TL_MONEY_H
#define TL_MONEY_H

#include <stdbool.h>
#include <stdint.h>

typedef __int128 wide;
typedef unsigned __int128 uwide;

#define MAX_AMOUNT UINT64_MAX

/* The balance with the interest of so many seconds; the rates are int16 in 0.01 % a year, of the balance's owner. */
wide balance_with_interest(wide balance, int rate_given, int rate_received, uint64_t seconds);

/* How much of a value adds to the debt of a payer with this balance. */
static inline uint64_t imbalance(uint64_t value, wide balance) {
    if (balance <= 0) return value;
    return (wide)value > balance ? (uint64_t)((wide)value - balance) : 0;
}

/* The fee withheld from what is passed on (receiver pays). */
static inline uint64_t fee_withheld(uint64_t generated, uint32_t divisor) {
    return divisor == 0 || generated == 0 ? 0 : (generated - 1) / divisor + 1;
}

/* Puts the fee on top of what must arrive (sender pays); false where the contract cannot. */
static inline bool add_fee(uint64_t amount, wide balance, uint32_t divisor, uint64_t *with_fee) {
    uint64_t generated = imbalance(amount, balance);
    if (divisor == 0 || generated == 0) {
        *with_fee = amount;
        return true;
    }
    if (divisor == 1) return false;
    uint64_t fee = (generated - 1) / (divisor - 1) + 1;
    if (fee > MAX_AMOUNT - amount) return false;
    *with_fee = amount + fee;
    return true;
}

/* The largest amount that can be passed on when this one can be sent on a hop (sender pays). */
static inline uint64_t forwardable(uint64_t amount, wide balance, uint32_t divisor) {
    if (divisor == 0) return amount;
    uint64_t free_part = balance <= 0 ? 0 : (wide)amount < balance ? amount : (uint64_t)balance;
    uint64_t rest = amount - free_part;
    if (divisor == 1 || rest < 2) return free_part;
    uint64_t blocks = (rest - 2) / divisor, remainder = (rest - 2) % divisor;
    uint64_t most = divisor - 2;
    return free_part + 1 + blocks * (divisor - 1) + (remainder < most ? remainder : most);
}

#endif
