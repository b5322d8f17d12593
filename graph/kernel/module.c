/* The Python side of the kernel: a Network whose users are bytes keys, and its searches. */
#include "python.h"

#include <stdlib.h>

#include "flow.h"
#include "search.h"

typedef struct {
    PyObject_HEAD
    network net;
    PyObject *indices; /* key -> index */
    PyObject *keys;    /* index -> key; it keeps alive what the users of the network point to */
} NetworkObject;

static bool read_wide(PyObject *value, uint64_t *size, bool *is_negative) {
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL) return false;
    int negative = PyObject_RichCompareBool(value, zero, Py_LT);
    Py_DECREF(zero);
    if (negative < 0) return false;
    PyObject *magnitude = negative ? PyNumber_Negative(value) : Py_NewRef(value);
    if (magnitude == NULL) return false;
    *size = PyLong_AsUnsignedLongLong(magnitude);
    Py_DECREF(magnitude);
    *is_negative = negative;
    return !PyErr_Occurred();
}

/* Unlike the formats K and k it refuses what does not fit. */
static int read_uint64(PyObject *value, void *result) {
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) return 0;
    *(unsigned long long *)result = number;
    return 1;
}

/* The same for what has 32 bits, where the format I would cut off the rest. */
static int read_uint32(PyObject *value, void *result) {
    unsigned long long number;
    if (!read_uint64(value, &number)) return 0;
    if (number > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a number does not fit uint32");
        return 0;
    }
    *(uint32_t *)result = (uint32_t)number;
    return 1;
}

/* Only exact bytes: what derives from them may compare and hash as it likes. */
static bool is_key(PyObject *key) {
    if (PyBytes_CheckExact(key)) return true;
    PyErr_SetString(PyExc_TypeError, "a user's key is bytes");
    return false;
}

static bool are_in_order(PyObject *lower, PyObject *higher) {
    if (!is_key(lower) || !is_key(higher)) return false;
    int is_lower = PyObject_RichCompareBool(lower, higher, Py_LT);
    if (is_lower == 0) PyErr_SetString(PyExc_ValueError, "a trustline names its lower user first");
    return is_lower == 1;
}

static bool is_time(unsigned long long at) {
    if (at >> 40 == 0) return true;
    PyErr_SetString(PyExc_OverflowError, "the time lies too far in the future");
    return false;
}

static bool index_of(NetworkObject *self, PyObject *key, bool add, uint32_t *index) {
    if (!is_key(key)) return false;
    PyObject *known = PyDict_GetItemWithError(self->indices, key);
    if (known != NULL) {
        *index = (uint32_t)PyLong_AsUnsignedLong(known);
        return true;
    }
    if (PyErr_Occurred()) return false;
    if (!add) {
        PyErr_SetObject(PyExc_KeyError, key);
        return false;
    }
    if (PyList_Append(self->keys, key) < 0) return false;
    const unsigned char *text = (const unsigned char *)PyBytes_AsString(key);
    if (!network_add_user(&self->net, text, (size_t)PyBytes_Size(key), index)) {
        Py_ssize_t count = (Py_ssize_t)self->net.user_count;
        PyList_SetSlice(self->keys, count, count + 1, NULL);
        PyErr_NoMemory();
        return false;
    }
    PyObject *number = PyLong_FromUnsignedLong(*index);
    if (number == NULL) return false;
    int failed = PyDict_SetItem(self->indices, key, number);
    Py_DECREF(number);
    return failed == 0;
}

static void lock_for_writing(NetworkObject *self) {
    if (pthread_rwlock_trywrlock(&self->net.lock) == 0) return;
    /* A search that runs needs no interpreter to end, but others may. */
    Py_BEGIN_ALLOW_THREADS
    pthread_rwlock_wrlock(&self->net.lock);
    Py_END_ALLOW_THREADS
}

static PyObject *network_object_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fee_divisor", "prevent_mediator_interests", NULL};
    uint32_t divisor;
    int prevents = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|p", names, read_uint32, &divisor, &prevents)) return NULL;
    NetworkObject *self = (NetworkObject *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    PyObject *indices = PyDict_New();
    self->keys = PyList_New(0);
    if (indices == NULL || self->keys == NULL || !network_init(&self->net, divisor, prevents)) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        Py_XDECREF(indices);
        Py_DECREF(self);
        return NULL;
    }
    self->indices = indices;
    return (PyObject *)self;
}

static void network_object_dealloc(NetworkObject *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (self->indices != NULL) network_free(&self->net);
    Py_XDECREF(self->indices);
    Py_XDECREF(self->keys);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(put_doc, "put(lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime)\n--\n\n"
                      "Take over the state of a trustline, as graph.trustline.Trustline states it.");

static PyObject *network_put_method(NetworkObject *self, PyObject *args) {
    PyObject *lower, *higher, *balance;
    unsigned long long given, received;
    uint32_t mtime;
    short rate_given, rate_received;
    int is_frozen;
    if (!PyArg_ParseTuple(args, "SSO!O&O&hhpO&", &lower, &higher, &PyLong_Type, &balance, read_uint64, &given,
                          read_uint64, &received, &rate_given, &rate_received, &is_frozen, read_uint32, &mtime))
        return NULL;
    end state = {.given = given, .received = received, .rate_given = rate_given, .rate_received = rate_received};
    uint32_t owner;
    state.is_frozen = is_frozen;
    state.mtime = mtime;
    if (!are_in_order(lower, higher) || !read_wide(balance, &state.size, &state.is_negative)) return NULL;
    lock_for_writing(self);
    bool is_done = index_of(self, lower, true, &owner) && index_of(self, higher, true, &state.other);
    if (is_done && !network_put(&self->net, owner, &state)) {
        PyErr_NoMemory();
        is_done = false;
    }
    pthread_rwlock_unlock(&self->net.lock);
    if (!is_done) return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(drop_doc, "drop(lower, higher)\n--\n\nForget the trustline of two users, if there is one.");

static PyObject *network_drop_method(NetworkObject *self, PyObject *args) {
    PyObject *lower, *higher;
    if (!PyArg_ParseTuple(args, "SS", &lower, &higher) || !are_in_order(lower, higher)) return NULL;
    PyObject *one = PyDict_GetItemWithError(self->indices, lower);
    PyObject *other = PyDict_GetItemWithError(self->indices, higher);
    if (PyErr_Occurred()) return NULL;
    if (one == NULL || other == NULL) Py_RETURN_NONE;
    uint32_t first = (uint32_t)PyLong_AsUnsignedLong(one), second = (uint32_t)PyLong_AsUnsignedLong(other);
    lock_for_writing(self);
    network_drop(&self->net, first, second);
    pthread_rwlock_unlock(&self->net.lock);
    Py_RETURN_NONE;
}

/* --- reading back: changes are made by who holds the interpreter, so who holds it too needs no lock of the network, and
 * must not wait for it: a change that waits for a search would then wait for the interpreter ever after --- */

static PyObject *signed_number(uint64_t size, bool is_negative) {
    PyObject *magnitude = PyLong_FromUnsignedLongLong(size);
    if (magnitude == NULL || !is_negative) return magnitude;
    PyObject *number = PyNumber_Negative(magnitude);
    Py_DECREF(magnitude);
    return number;
}

/* Makes a tuple of as many new references, which it takes over; NULL among them is an error that was raised. */
static PyObject *tuple_of(PyObject **items, Py_ssize_t count) {
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (items[i] == NULL) Py_CLEAR(tuple);
        if (tuple == NULL)
            Py_XDECREF(items[i]);
        else
            PyTuple_SetItem(tuple, i, items[i]);
    }
    return tuple;
}

static PyObject *side_as_tuple(const end *e) {
    PyObject *items[] = {
        signed_number(e->size, e->is_negative),
        PyLong_FromUnsignedLongLong(e->given),
        PyLong_FromUnsignedLongLong(e->received),
        PyLong_FromLong(e->rate_given),
        PyLong_FromLong(e->rate_received),
        Py_NewRef(e->is_frozen ? Py_True : Py_False),
        PyLong_FromUnsignedLongLong(e->mtime),
    };
    return tuple_of(items, sizeof items / sizeof *items);
}

/* The index of a user in `index`; 0 for one who is not known, -1 if an error was raised. */
static int known_index(NetworkObject *self, PyObject *key, uint32_t *index) {
    PyObject *known = is_key(key) ? PyDict_GetItemWithError(self->indices, key) : NULL;
    if (known == NULL) return PyErr_Occurred() ? -1 : 0;
    *index = (uint32_t)PyLong_AsUnsignedLong(known);
    return 1;
}

PyDoc_STRVAR(get_doc, "get(user, other)\n--\n\n"
                      "Return (balance, given, received, rate_given, rate_received, is_frozen, mtime) of the trustline of\n"
                      "two users as the first of them sees it, None if there is none.");

static PyObject *get_method(NetworkObject *self, PyObject *args) {
    PyObject *user_key, *other_key;
    uint32_t owner, other;
    if (!PyArg_ParseTuple(args, "SS", &user_key, &other_key)) return NULL;
    int is_owner_known = known_index(self, user_key, &owner);
    int is_other_known = is_owner_known < 0 ? -1 : known_index(self, other_key, &other);
    if (is_other_known < 0) return NULL;
    const end *e = is_owner_known && is_other_known ? end_between(&self->net, owner, other) : NULL;
    return e == NULL ? Py_NewRef(Py_None) : side_as_tuple(e);
}

PyDoc_STRVAR(around_doc, "around(user)\n--\n\n"
                         "Return a list of (other, what get(user, other) returns) for all trustlines of a user.");

static PyObject *around_method(NetworkObject *self, PyObject *args) {
    PyObject *key;
    uint32_t owner;
    if (!PyArg_ParseTuple(args, "S", &key)) return NULL;
    int is_known = known_index(self, key, &owner);
    if (is_known < 0) return NULL;
    /* Making objects may set off a collection, and that may run code which changes the network: no pointer into it and
     * no count outlasts an object made. */
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && is_known && i < self->net.users[owner].degree; i++) {
        end e = self->net.users[owner].ends[i];
        PyObject *items[] = {Py_NewRef(PyList_GetItem(self->keys, e.other)), side_as_tuple(&e)};
        PyObject *pair = tuple_of(items, 2);
        if (pair == NULL || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

/* Reads a sequence of keys into indices that are to be freed; unknown keys are left out, or refused. */
static bool read_users(NetworkObject *self, PyObject *keys, bool refuse, uint32_t **users, uint32_t *count) {
    PyObject *sequence = PySequence_Tuple(keys);
    if (sequence == NULL) return false;
    Py_ssize_t length = PyTuple_Size(sequence);
    *users = PyMem_Malloc(length ? (size_t)length * sizeof **users : 1);
    bool is_read = *users != NULL;
    if (!is_read) PyErr_NoMemory();
    for (Py_ssize_t i = 0; is_read && i < length; i++) {
        PyObject *key = PyTuple_GetItem(sequence, i);
        PyObject *known = is_key(key) ? PyDict_GetItemWithError(self->indices, key) : NULL;
        if (known != NULL) {
            (*users)[(*count)++] = (uint32_t)PyLong_AsUnsignedLong(known);
        } else if (PyErr_Occurred() || refuse) {
            if (!PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
            is_read = false;
        }
    }
    Py_DECREF(sequence);
    return is_read;
}

static bool is_sane(const question *asked) {
    if (asked->begun_count == 0) {
        PyErr_SetString(PyExc_ValueError, "a walk begins with one user at least");
        return false;
    }
    for (uint32_t i = 0; i < asked->begun_count; i++) {
        uint32_t start = asked->receiver_pays ? asked->begun_count - 1 : 0;
        if (is_among(asked->begun + i + 1, asked->begun_count - i - 1, asked->begun[i]) ||
            (i == start && asked->begun[i] == asked->target)) {
            PyErr_SetString(PyExc_ValueError, "a walk passes no user twice");
            return false;
        }
    }
    return is_time(asked->at);
}

static void free_question(question *asked) {
    PyMem_Free(asked->begun);
    PyMem_Free(asked->avoid);
    PyMem_Free(asked->not_next);
}

static bool read_question(NetworkObject *self, PyObject *args, PyObject *kwargs, question *asked) {
    static char *names[] = {"receiver_pays", "begun",    "target", "value",  "at", "max_fees", "max_hops",
                            "avoid",         "not_next", "budget", "deadline", NULL};
    PyObject *begun, *target, *avoid = NULL, *not_next = NULL;
    int receiver_pays;
    unsigned long long value, at, max_fees = UINT64_MAX, budget = UINT64_MAX;
    uint32_t max_hops = UINT32_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "pOSO&O&|$O&O&OOO&d", names, &receiver_pays, &begun, &target,
                                     read_uint64, &value, read_uint64, &at, read_uint64, &max_fees, read_uint32,
                                     &max_hops, &avoid, &not_next, read_uint64, &budget, &asked->deadline))
        return false;
    asked->receiver_pays = receiver_pays;
    asked->value = value;
    asked->at = at;
    asked->max_fees = max_fees;
    asked->max_hops = max_hops;
    asked->budget = budget;
    return index_of(self, target, false, &asked->target) &&
           read_users(self, begun, true, &asked->begun, &asked->begun_count) &&
           (avoid == NULL || read_users(self, avoid, false, &asked->avoid, &asked->avoid_count)) &&
           (not_next == NULL || read_users(self, not_next, false, &asked->not_next, &asked->not_next_count)) &&
           is_sane(asked);
}

static PyObject *key_of(NetworkObject *self, uint32_t index) { return Py_NewRef(PyList_GetItem(self->keys, index)); }

static PyObject *path_as_tuple(NetworkObject *self, const answer *found) {
    PyObject *path = PyTuple_New(found->path_length);
    for (uint32_t i = 0; path != NULL && i < found->path_length; i++) {
        PyTuple_SetItem(path, i, key_of(self, found->path[i]));
    }
    return path;
}

PyDoc_STRVAR(cheapest_doc,
             "cheapest(receiver_pays, begun, target, value, at, *, max_fees=2**64-1, max_hops=2**32-1, avoid=(),\n"
             "         not_next=(), budget=2**64-1, deadline=0.0)\n--\n\n"
             "Return (outcome, path or None, whether it is proven, work) of the cheapest transfer.\n\n"
             "`begun` are the users walked so far in the order of the path: its end if the sender pays, its beginning\n"
             "if the receiver does; `target` is the user at the other end. `deadline` is in seconds of time.monotonic().\n"
             "Raises KeyError for users it does not know, but for those to avoid.");

static PyObject *cheapest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    question asked = {0};
    answer found = {0};
    outcome result = NO_MEMORY;
    PyObject *answered = NULL;
    if (read_question(self, args, kwargs, &asked)) {
        Py_BEGIN_ALLOW_THREADS
        pthread_rwlock_rdlock(&self->net.lock);
        result = cheapest(&self->net, &asked, &found);
        pthread_rwlock_unlock(&self->net.lock);
        Py_END_ALLOW_THREADS
        PyObject *path = result == FOUND ? path_as_tuple(self, &found) : Py_NewRef(Py_None);
        if (result == NO_MEMORY) PyErr_NoMemory();
        if (path != NULL && result != NO_MEMORY)
            answered = Py_BuildValue("iOOK", result, path, found.is_proven ? Py_True : Py_False, (unsigned long long)found.work);
        Py_XDECREF(path);
    }
    free(found.path);
    free_question(&asked);
    return answered;
}

PyDoc_STRVAR(widest_doc,
             "widest(sender, receiver, at, *, max_hops=2**32-1, avoid=(), budget=2**64-1, deadline=0.0)\n--\n\n"
             "Return (outcome, value, work) of the largest value the sender can pay, bearing the fees; mediators'\n"
             "interests are not looked at.");

PyDoc_STRVAR(largest_doc,
             "largest(sender, receiver, at, *, max_hops=2**32-1, avoid=(), budget=2**64-1, deadline=0.0)\n--\n\n"
             "Return (outcome, value, path or None, work) as widest() does, with the cheapest path for the value; there is\n"
             "no path within a hop limit.");

static PyObject *widest_or_largest(NetworkObject *self, PyObject *args, PyObject *kwargs, bool has_path) {
    static char *names[] = {"sender", "receiver", "at", "max_hops", "avoid", "budget", "deadline", NULL};
    question asked = {.max_fees = UINT64_MAX, .max_hops = UINT32_MAX, .budget = UINT64_MAX};
    answer along = {0};
    uint64_t value = 0, work = 0;
    uint32_t from;
    unsigned long long at, budget = UINT64_MAX;
    PyObject *sender, *receiver, *avoid = NULL, *path = NULL, *answered = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO&|$O&OO&d", names, &sender, &receiver, read_uint64, &at, read_uint32,
                                     &asked.max_hops, &avoid, read_uint64, &budget, &asked.deadline))
        return NULL;
    asked.at = at;
    asked.budget = budget;
    if (index_of(self, sender, false, &from) && index_of(self, receiver, false, &asked.target) &&
        (avoid == NULL || read_users(self, avoid, false, &asked.avoid, &asked.avoid_count))) {
        if (from == asked.target) {
            PyErr_SetString(PyExc_ValueError, "a walk passes no user twice");
        } else if (is_time(at)) {
            outcome result;
            Py_BEGIN_ALLOW_THREADS
            pthread_rwlock_rdlock(&self->net.lock);
            result = widest(&self->net, from, &asked, &value, has_path ? &along : NULL, &work);
            pthread_rwlock_unlock(&self->net.lock);
            Py_END_ALLOW_THREADS
            if (result == NO_MEMORY)
                PyErr_NoMemory();
            else if (!has_path)
                answered = Py_BuildValue("iKK", result, (unsigned long long)value, (unsigned long long)work);
            else if ((path = along.path_length ? path_as_tuple(self, &along) : Py_NewRef(Py_None)) != NULL)
                answered = Py_BuildValue("iKOK", result, (unsigned long long)value, path, (unsigned long long)work);
        }
    }
    Py_XDECREF(path);
    free(along.path);
    free_question(&asked);
    return answered;
}

static PyObject *widest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    return widest_or_largest(self, args, kwargs, false);
}

static PyObject *largest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    return widest_or_largest(self, args, kwargs, true);
}

/* Reads None or an amount of up to 80 bits, more than any number of parts can move. */
static int read_goal(PyObject *value, void *result) {
    flow_goal *goal = result;
    if (value == Py_None) return 1;
    PyObject *words = PyLong_FromLong(64), *high = words == NULL ? NULL : PyNumber_Rshift(value, words);
    unsigned long long upper = high == NULL ? 0 : PyLong_AsUnsignedLongLong(high);
    Py_XDECREF(words);
    Py_XDECREF(high);
    if (PyErr_Occurred()) return 0;
    if (upper >> 16) {
        PyErr_SetString(PyExc_OverflowError, "an amount does not fit 80 bits");
        return 0;
    }
    goal->amount = ((wide)upper << 64) + PyLong_AsUnsignedLongLongMask(value);
    goal->has_amount = true;
    return !PyErr_Occurred();
}

static PyObject *plan_as_tuple(NetworkObject *self, outcome result, const flow_plan *plan) {
    PyObject *moves = PyTuple_New((Py_ssize_t)plan->count);
    for (size_t i = 0; moves != NULL && i < plan->count; i++) {
        const flow_move *m = &plan->moves[i];
        PyObject *items[] = {
            key_of(self, m->payer),
            key_of(self, m->payee),
            PyLong_FromUnsignedLongLong(m->amount_high),
            PyLong_FromUnsignedLongLong(m->amount),
        };
        PyObject *move = tuple_of(items, 4);
        if (move == NULL)
            Py_CLEAR(moves);
        else
            PyTuple_SetItem(moves, (Py_ssize_t)i, move);
    }
    PyObject *answered = NULL;
    if (moves != NULL)
        answered = Py_BuildValue("iO(KK)OK", result, moves, (unsigned long long)plan->delivered_high,
                                 (unsigned long long)plan->delivered, plan->is_full ? Py_True : Py_False,
                                 (unsigned long long)plan->work);
    Py_XDECREF(moves);
    return answered;
}

PyDoc_STRVAR(flow_doc,
             "flow(sender, receiver, at, *, amount=None, is_sent=False, ignores_fees=False, narrowest=0, avoid=(),\n"
             "     budget=2**64-1, deadline=0.0)\n--\n\n"
             "Plan how as much as can be, or `amount`, arrives; with `is_sent`, leaves.\n\n"
             "What can move less than `narrowest` is left out. Returns (outcome, moves, delivered, whether nothing can be\n"
             "added for certain, work), each move being (payer, payee, high, low), `delivered` (high, low), amounts in two\n"
             "words of 64 bits. With SPENT the plan is what there was by then.");

static PyObject *flow_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sender", "receiver", "at",    "amount",   "is_sent", "ignores_fees", "narrowest",
                            "avoid",  "budget",   "deadline", NULL};
    question asked = {.max_fees = UINT64_MAX, .max_hops = UINT32_MAX};
    flow_goal goal = {0};
    flow_plan plan = {0};
    uint32_t from;
    unsigned long long at, budget = UINT64_MAX, narrowest = 0;
    int is_sent = 0, ignores_fees = 0;
    PyObject *sender, *receiver, *avoid = NULL, *answered = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO&|$O&ppO&OO&d", names, &sender, &receiver, read_uint64, &at, read_goal,
                                     &goal, &is_sent, &ignores_fees, read_uint64, &narrowest, &avoid, read_uint64,
                                     &budget, &asked.deadline))
        return NULL;
    asked.at = at;
    asked.budget = budget;
    goal.is_sent = is_sent;
    goal.ignores_fees = ignores_fees;
    goal.narrowest = narrowest;
    if (is_time(at) && index_of(self, sender, false, &from) && index_of(self, receiver, false, &asked.target) &&
        (avoid == NULL || read_users(self, avoid, false, &asked.avoid, &asked.avoid_count))) {
        if (from == asked.target) {
            PyErr_SetString(PyExc_ValueError, "nothing flows from a user to itself");
        } else {
            outcome result;
            Py_BEGIN_ALLOW_THREADS
            pthread_rwlock_rdlock(&self->net.lock);
            result = plan_flow(&self->net, from, &asked, &goal, &plan);
            pthread_rwlock_unlock(&self->net.lock);
            Py_END_ALLOW_THREADS
            if (result == NO_MEMORY)
                PyErr_NoMemory();
            else
                answered = plan_as_tuple(self, result, &plan);
        }
    }
    free(plan.moves);
    free_question(&asked);
    return answered;
}

PyDoc_STRVAR(sweep_doc, "sweep(at)\n--\n\n"
                        "Return a sum over all ends of trustlines that means nothing: a bare pass over the arrays, to\n"
                        "measure by.");

static PyObject *sweep_method(NetworkObject *self, PyObject *args) {
    unsigned long long at;
    uint64_t sum = 0;
    if (!PyArg_ParseTuple(args, "O&", read_uint64, &at) || !is_time(at)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    pthread_rwlock_rdlock(&self->net.lock);
    for (uint32_t u = 0; u < self->net.user_count; u++)
        for (uint32_t i = 0; i < self->net.users[u].degree; i++)
            sum += self->net.users[u].ends[i].received + self->net.users[u].ends[i].size + at;
    pthread_rwlock_unlock(&self->net.lock);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"put", (PyCFunction)network_put_method, METH_VARARGS, put_doc},
    {"drop", (PyCFunction)network_drop_method, METH_VARARGS, drop_doc},
    {"get", (PyCFunction)get_method, METH_VARARGS, get_doc},
    {"around", (PyCFunction)around_method, METH_VARARGS, around_doc},
    {"cheapest", (PyCFunction)(void (*)(void))cheapest_method, METH_VARARGS | METH_KEYWORDS, cheapest_doc},
    {"widest", (PyCFunction)(void (*)(void))widest_method, METH_VARARGS | METH_KEYWORDS, widest_doc},
    {"largest", (PyCFunction)(void (*)(void))largest_method, METH_VARARGS | METH_KEYWORDS, largest_doc},
    {"flow", (PyCFunction)(void (*)(void))flow_method, METH_VARARGS | METH_KEYWORDS, flow_doc},
    {"sweep", (PyCFunction)sweep_method, METH_VARARGS, sweep_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Network(fee_divisor, prevent_mediator_interests=False)\n--\n\nThe trustlines of a network in flat arrays."},
    {Py_tp_new, network_object_new},
    {Py_tp_dealloc, network_object_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec network_spec = {
    .name = "graph._kernel.Network",
    .basicsize = sizeof(NetworkObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "graph._kernel",
    .m_doc = PyDoc_STR("Path search over flat arrays."),
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    PyObject *m = PyModule_Create(&module);
    if (m == NULL) return NULL;
    PyObject *network_type = PyType_FromSpec(&network_spec);
    PyModule_AddIntConstant(m, "FOUND", FOUND);
    PyModule_AddIntConstant(m, "NOT_FOUND", NOT_FOUND);
    PyModule_AddIntConstant(m, "SPENT", SPENT);
    /* It refuses a type that could not be made. */
    if (PyModule_AddObjectRef(m, "Network", network_type) < 0) Py_CLEAR(m);
    Py_XDECREF(network_type);
    return m;
}
