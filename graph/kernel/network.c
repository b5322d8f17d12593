#include "network.h"

#include "scratch.h"

#include <stdlib.h>
#include <string.h>

static bool grow(void **array, uint32_t *room, uint32_t needed, size_t size) {
    if (needed <= *room) return true;
    uint64_t wanted = *room ? (uint64_t)*room * 2 : 4;
    while (wanted < needed) wanted *= 2;
    if (wanted >= NOBODY / 2) return false; /* an end is a line's index and one bit */
    void *larger = realloc(*array, wanted * size);
    if (larger == NULL) return false;
    *array = larger;
    *room = (uint32_t)wanted;
    return true;
}

bool network_init(network *net, uint32_t divisor, bool prevents_mediator_interests) {
    memset(net, 0, sizeof *net);
    net->free_line = NOBODY;
    net->divisor = divisor;
    net->prevents_mediator_interests = prevents_mediator_interests;
    return pthread_rwlock_init(&net->lock, NULL) == 0 && pthread_mutex_init(&net->idle_lock, NULL) == 0;
}

void network_free(network *net) {
    for (uint32_t i = 0; i < net->user_count; i++) free(net->users[i].ends);
    free(net->users);
    free(net->lines);
    scratch_free_all(net);
    pthread_mutex_destroy(&net->idle_lock);
    pthread_rwlock_destroy(&net->lock);
}

bool network_add_user(network *net, const unsigned char *key, size_t key_length, uint32_t *index) {
    if (!grow((void **)&net->users, &net->user_room, net->user_count + 1, sizeof *net->users)) return false;
    *index = net->user_count++;
    net->users[*index] = (user){.key = key, .key_length = key_length};
    return true;
}

/* The position of the line between two users among the ends of the one with fewer; NOBODY if there is none. */
static uint32_t find(const network *net, uint32_t one, uint32_t other, uint32_t *owner) {
    bool first_is_smaller = net->users[one].degree <= net->users[other].degree;
    *owner = first_is_smaller ? one : other;
    uint32_t wanted = first_is_smaller ? other : one;
    const user *u = &net->users[*owner];
    for (uint32_t i = 0; i < u->degree; i++)
        if (other_end(net, u->ends[i]) == wanted) return i;
    return NOBODY;
}

bool network_put(network *net, const line *state) {
    uint32_t owner, position = find(net, state->lower, state->higher, &owner);
    if (position != NOBODY) {
        net->lines[net->users[owner].ends[position] >> 1] = *state;
        return true;
    }
    user *lower = &net->users[state->lower], *higher = &net->users[state->higher];
    if (!grow((void **)&lower->ends, &lower->room, lower->degree + 1, sizeof *lower->ends)) return false;
    if (!grow((void **)&higher->ends, &higher->room, higher->degree + 1, sizeof *higher->ends)) return false;
    uint32_t index = net->free_line;
    if (index != NOBODY) {
        net->free_line = net->lines[index].lower;
    } else {
        if (!grow((void **)&net->lines, &net->line_room, net->line_count + 1, sizeof *net->lines)) return false;
        index = net->line_count++;
    }
    net->lines[index] = *state;
    lower->ends[lower->degree++] = index << 1;
    higher->ends[higher->degree++] = index << 1 | 1;
    return true;
}

static void detach(user *u, uint32_t end) {
    for (uint32_t i = 0; i < u->degree; i++) {
        if (u->ends[i] == end) {
            u->ends[i] = u->ends[--u->degree];
            return;
        }
    }
}

void network_drop(network *net, uint32_t lower, uint32_t higher) {
    uint32_t owner, position = find(net, lower, higher, &owner);
    if (position == NOBODY) return;
    uint32_t index = net->users[owner].ends[position] >> 1;
    detach(&net->users[lower], index << 1);
    detach(&net->users[higher], index << 1 | 1);
    net->lines[index].lower = net->free_line;
    net->free_line = index;
}

int compare_users(const network *net, uint32_t one, uint32_t other) {
    const user *a = &net->users[one], *b = &net->users[other];
    size_t shared = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->key, b->key, shared);
    if (order) return order;
    return (a->key_length > b->key_length) - (a->key_length < b->key_length);
}
