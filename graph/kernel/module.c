/* The Python side of the kernel: a Network whose users are bytes keys, and its searches. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "search.h"

typedef struct {
    PyObject_HEAD
    network net;
    PyObject *indices; /* key -> index */
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

static bool index_of(NetworkObject *self, PyObject *key, bool add, uint32_t *index) {
    if (!PyBytes_CheckExact(key)) {
        PyErr_SetString(PyExc_TypeError, "a user's key is bytes");
        return false;
    }
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
    /* The dictionary keeps the key alive for as long as the network points into it. */
    const unsigned char *text = (const unsigned char *)PyBytes_AS_STRING(key);
    if (!network_add_user(&self->net, text, (size_t)PyBytes_GET_SIZE(key), index)) {
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

static int network_object_init(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fee_divisor", "prevent_mediator_interests", NULL};
    unsigned int divisor;
    int prevents = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "I|p", names, &divisor, &prevents)) return -1;
    if (self->indices != NULL) {
        PyErr_SetString(PyExc_TypeError, "a network is made once");
        return -1;
    }
    if (!network_init(&self->net, divisor, prevents)) {
        PyErr_NoMemory();
        return -1;
    }
    self->indices = PyDict_New();
    return self->indices == NULL ? -1 : 0;
}

static void network_object_dealloc(NetworkObject *self) {
    if (self->indices != NULL) network_free(&self->net);
    Py_XDECREF(self->indices);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyDoc_STRVAR(put_doc, "put(lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime)\n--\n\n"
                      "Take over the state of a trustline, as graph.trustline.Trustline states it.");

static PyObject *network_put_method(NetworkObject *self, PyObject *args) {
    PyObject *lower, *higher, *balance;
    unsigned long long given, received, mtime;
    short rate_given, rate_received;
    int is_frozen;
    if (!PyArg_ParseTuple(args, "SSO!O&O&hhpO&", &lower, &higher, &PyLong_Type, &balance, read_uint64, &given,
                          read_uint64, &received, &rate_given, &rate_received, &is_frozen, read_uint64, &mtime))
        return NULL;
    end state = {.given = given, .received = received, .rate_given = rate_given, .rate_received = rate_received};
    uint32_t owner;
    state.is_frozen = is_frozen;
    state.mtime = (uint32_t)mtime;
    if (mtime > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "mtime does not fit uint32");
        return NULL;
    }
    if (PyObject_RichCompareBool(lower, higher, Py_LT) != 1) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a trustline names its lower user first");
        return NULL;
    }
    if (!read_wide(balance, &state.size, &state.is_negative)) return NULL;
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
    if (!PyArg_ParseTuple(args, "SS", &lower, &higher)) return NULL;
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

/* Reads a sequence of keys into indices that are to be freed; unknown keys are left out, or refused. */
static bool read_users(NetworkObject *self, PyObject *keys, bool refuse, uint32_t **users, uint32_t *count) {
    PyObject *sequence = PySequence_Fast(keys, "users are given as a sequence of keys");
    if (sequence == NULL) return false;
    Py_ssize_t length = PySequence_Fast_GET_SIZE(sequence);
    *users = PyMem_Malloc(length ? (size_t)length * sizeof **users : 1);
    bool is_read = *users != NULL;
    if (!is_read) PyErr_NoMemory();
    for (Py_ssize_t i = 0; is_read && i < length; i++) {
        PyObject *key = PySequence_Fast_GET_ITEM(sequence, i);
        PyObject *known = PyDict_GetItemWithError(self->indices, key);
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
    if (asked->at >> 40) {
        PyErr_SetString(PyExc_OverflowError, "the time lies too far in the future");
        return false;
    }
    return true;
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
    unsigned int max_hops = UINT32_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "pOSO&O&|$O&IOOO&d", names, &receiver_pays, &begun, &target,
                                     read_uint64, &value, read_uint64, &at, read_uint64, &max_fees, &max_hops, &avoid,
                                     &not_next, read_uint64, &budget, &asked->deadline))
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

static PyObject *path_as_tuple(NetworkObject *self, const answer *found) {
    PyObject *path = PyTuple_New(found->path_length);
    for (uint32_t i = 0; path != NULL && i < found->path_length; i++) {
        const user *u = &self->net.users[found->path[i]];
        PyObject *key = PyBytes_FromStringAndSize((const char *)u->key, (Py_ssize_t)u->key_length);
        if (key == NULL)
            Py_CLEAR(path);
        else
            PyTuple_SET_ITEM(path, i, key);
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

static PyObject *widest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sender", "receiver", "at", "max_hops", "avoid", "budget", "deadline", NULL};
    question asked = {.max_fees = UINT64_MAX, .max_hops = UINT32_MAX, .budget = UINT64_MAX};
    uint64_t value = 0, work = 0;
    uint32_t from;
    unsigned long long at, budget = UINT64_MAX;
    PyObject *sender, *receiver, *avoid = NULL, *answered = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO&|$IOO&d", names, &sender, &receiver, read_uint64, &at,
                                     &asked.max_hops, &avoid, read_uint64, &budget, &asked.deadline))
        return NULL;
    asked.at = at;
    asked.budget = budget;
    if (index_of(self, sender, false, &from) && index_of(self, receiver, false, &asked.target) &&
        (avoid == NULL || read_users(self, avoid, false, &asked.avoid, &asked.avoid_count))) {
        if (from == asked.target) {
            PyErr_SetString(PyExc_ValueError, "a walk passes no user twice");
        } else if (at >> 40) {
            PyErr_SetString(PyExc_OverflowError, "the time lies too far in the future");
        } else {
            outcome result;
            Py_BEGIN_ALLOW_THREADS
            pthread_rwlock_rdlock(&self->net.lock);
            result = widest(&self->net, from, &asked, &value, &work);
            pthread_rwlock_unlock(&self->net.lock);
            Py_END_ALLOW_THREADS
            if (result == NO_MEMORY)
                PyErr_NoMemory();
            else
                answered = Py_BuildValue("iKK", result, (unsigned long long)value, (unsigned long long)work);
        }
    }
    free_question(&asked);
    return answered;
}

PyDoc_STRVAR(sweep_doc, "sweep(at)\n--\n\n"
                        "Return the low 64 bits of the sum of all capacities: a bare pass over all trustlines, to measure by.");

static PyObject *sweep_method(NetworkObject *self, PyObject *args) {
    unsigned long long at;
    uint64_t sum = 0;
    if (!PyArg_ParseTuple(args, "O&", read_uint64, &at)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    pthread_rwlock_rdlock(&self->net.lock);
    for (uint32_t u = 0; u < self->net.user_count; u++)
        for (uint32_t i = 0; i < self->net.users[u].degree; i++)
            sum += (uint64_t)hop_over(&self->net.users[u].ends[i], true, at).capacity;
    pthread_rwlock_unlock(&self->net.lock);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"put", (PyCFunction)network_put_method, METH_VARARGS, put_doc},
    {"drop", (PyCFunction)network_drop_method, METH_VARARGS, drop_doc},
    {"cheapest", (PyCFunction)(void (*)(void))cheapest_method, METH_VARARGS | METH_KEYWORDS, cheapest_doc},
    {"widest", (PyCFunction)(void (*)(void))widest_method, METH_VARARGS | METH_KEYWORDS, widest_doc},
    {"sweep", (PyCFunction)sweep_method, METH_VARARGS, sweep_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject NetworkType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "graph._kernel.Network",
    .tp_doc = PyDoc_STR("Network(fee_divisor, prevent_mediator_interests=False)\n--\n\nThe trustlines of a network in flat arrays."),
    .tp_basicsize = sizeof(NetworkObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)network_object_init,
    .tp_dealloc = (destructor)network_object_dealloc,
    .tp_methods = methods,
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "graph._kernel",
    .m_doc = PyDoc_STR("Path search over flat arrays."),
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    if (PyType_Ready(&NetworkType) < 0) return NULL;
    PyObject *m = PyModule_Create(&module);
    if (m == NULL) return NULL;
    PyModule_AddIntConstant(m, "FOUND", FOUND);
    PyModule_AddIntConstant(m, "NOT_FOUND", NOT_FOUND);
    PyModule_AddIntConstant(m, "SPENT", SPENT);
    if (PyModule_AddObjectRef(m, "Network", (PyObject *)&NetworkType) < 0) Py_CLEAR(m);
    return m;
}
