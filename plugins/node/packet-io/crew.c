/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "crew_threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * A run is one number: how many of its units nobody has begun. Who takes one
 * counts it down, and takes none of a run that has none left. So a worker that
 * comes late finds nothing to do, or a unit of the next run, but never one of a
 * run that is over; and the caller waits for units that somebody works on, not
 * for workers that have not woken up yet.
 */

/** How long a worker looks for the next run before it sleeps: waking it up costs its caller several microseconds, and takes some more */
#define SPIN_NS 50000
/** A worker that waited longer for its last run does not look at all; some of that it may have been waking up */
#define SPIN_WORTH_NS (SPIN_NS + 20000)
/** How long the caller looks for the end of others' last units before it sleeps */
#define SPIN_END_NS 20000
/** Looks between two looks at the clock: about a microsecond */
#define SPIN_LOOKS 32

/** Waiting for others' last units for longer than the caller's own took, and this, is a stall */
#define STALL_NS 50000
/** Behind a stall the caller works alone for so many times its length, so that stalls cost it a thirtieth at most */
#define STALL_REST 32
#define STALL_REST_MAX_NS 1000000000

/** When the caller has come to another processor, workers leave that one; not more often than */
#define AVOID_NS 1000000

/** What threads write side by side lies in cache lines of its own */
#define CACHE_LINE 64

typedef struct {
	struct crew *crew;
	unsigned worker;
	pthread_t thread;
} member_t;

struct crew {
	struct crew_port port;
	/** of the run: written before its units are there to be taken */
	crew_work work;
	void *arg;
	unsigned units;
	/** units that nobody has begun; workers sleep on it while it is 0, and CLOSING ends them */
	_Alignas(CACHE_LINE) atomic_uint waiting;
	/** units that are not done; the caller sleeps on it */
	_Alignas(CACHE_LINE) atomic_uint pending;
	_Alignas(CACHE_LINE) atomic_uint sleepers;
	atomic_bool caller_sleeps;
	/** processors that threads may use, the one where the caller was last, and when the workers may be told again */
	cpu_set_t allowed;
	int caller_cpu;
	uint64_t avoid_from;
	/** the caller's: until when it works alone, and what has been so far */
	uint64_t alone_until;
	crew_stats_t stats;
	member_t members[CREW_WORKERS_MAX];
};

/** More units than any run has */
#define CLOSING UINT_MAX

static void futex_wait(atomic_uint *word, unsigned value)
{
	/* it returns early if the word has changed, and for no reason: callers look again */
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/** Take units until there are none; how many this worker has done */
static unsigned do_units(struct crew *this, unsigned worker)
{
	unsigned done = 0;
	unsigned waiting = atomic_load_explicit(&this->waiting, memory_order_relaxed);

	while (waiting && waiting != CLOSING)
	{
		/* what is read below was written before the units were there, and stays: the run lasts until this unit is done */
		if (atomic_compare_exchange_weak_explicit(&this->waiting, &waiting,
						waiting - 1, memory_order_acquire, memory_order_relaxed))
		{
			this->work(this->arg, worker, this->units - waiting);
			done++;
			waiting = atomic_load_explicit(&this->waiting, memory_order_relaxed);
		}
	}
	return done;
}

/** Whether a word becomes another within a time */
static bool spin(const atomic_uint *word, unsigned idle, uint64_t ns)
{
	uint64_t until = now() + ns;

	do
	{
		for (int i = 0; i < SPIN_LOOKS; i++)
		{
			if (atomic_load_explicit(word, memory_order_relaxed) != idle)
			{
				return true;
			}
			relax();
		}
	}
	while (now() < until);
	return false;
}

/** Wait until there are units, or the crew is closed */
static void await_run(struct crew *this, bool is_patient)
{
	if (is_patient && spin(&this->waiting, 0, SPIN_NS))
	{
		return;
	}
	/* run() writes units, then looks for sleepers; here it is the other way round: one of the two sees the other */
	atomic_fetch_add(&this->sleepers, 1);
	while (!atomic_load(&this->waiting))
	{
		futex_wait(&this->waiting, 0);
	}
	atomic_fetch_sub(&this->sleepers, 1);
}

static void *member_main(void *arg)
{
	member_t *member = arg;
	struct crew *this = member->crew;
	bool is_patient = false;
	char name[16];

	snprintf(name, sizeof(name), "dvipa-crew-%u", member->worker);
	pthread_setname_np(pthread_self(), name);
	while (atomic_load(&this->waiting) != CLOSING)
	{
		unsigned done = do_units(this, member->worker);
		uint64_t since;

		if (done && atomic_fetch_sub(&this->pending, done) == done &&
			atomic_load(&this->caller_sleeps))
		{
			futex_wake(&this->pending, 1);
		}
		since = now();
		await_run(this, is_patient);
		is_patient = now() - since < SPIN_WORTH_NS;
	}
	return NULL;
}

/** Wait for the units that other workers have begun, in a run that began at a time */
static void await_end(struct crew *this, uint64_t began)
{
	uint64_t since = now(), until;
	unsigned pending;

	while ((pending = atomic_load(&this->pending)) && spin(&this->pending, pending, SPIN_END_NS))
	{
	}
	/* who has not ended a unit by now may have lost its processor, perhaps to that loop */
	atomic_store(&this->caller_sleeps, true);
	while ((pending = atomic_load(&this->pending)))
	{
		futex_wait(&this->pending, pending);
	}
	atomic_store(&this->caller_sleeps, false);
	until = now();
	if (until - since > STALL_NS + (since - began))
	{
		uint64_t rest = STALL_REST * (until - since);

		this->stats.stalls++;
		this->alone_until = until + (rest < STALL_REST_MAX_NS ? rest : STALL_REST_MAX_NS);
	}
}

/**
 * Keep workers off the caller's processor. The kernel puts who is woken there if the others are busy, and there it is of no
 * use: it would wait for the caller, or do in its place what it could do itself.
 */
static void avoid(struct crew *this, int cpu, uint64_t time)
{
	cpu_set_t others = this->allowed;

	this->caller_cpu = cpu;
	this->avoid_from = time + AVOID_NS;
	CPU_CLR(cpu, &others);
	for (unsigned i = 1; i < this->port.workers && CPU_COUNT(&others); i++)
	{
		pthread_setaffinity_np(this->members[i].thread, sizeof(others), &others);
	}
}

static void crew_do(struct crew *this, crew_work work, void *arg, unsigned units)
{
	const uint64_t began = now();
	const int cpu = sched_getcpu();
	unsigned sleepers, done;

	if (this->port.workers == 1 || units >= CLOSING || began < this->alone_until)
	{
		for (unsigned unit = 0; unit < units; unit++)
		{
			work(arg, 0, unit);
		}
		return;
	}
	if (cpu >= 0 && cpu < CPU_SETSIZE && cpu != this->caller_cpu && began >= this->avoid_from)
	{
		avoid(this, cpu, began);
	}
	this->stats.runs++;
	this->work = work;
	this->arg = arg;
	this->units = units;
	atomic_store_explicit(&this->pending, units, memory_order_relaxed);
	atomic_store(&this->waiting, units);
	sleepers = atomic_load(&this->sleepers);
	if (sleepers && units > 1)
	{
		this->stats.wakes++;
		futex_wake(&this->waiting, sleepers < units ? (int)sleepers : (int)units - 1);
	}
	done = do_units(this, 0);
	if (atomic_fetch_sub(&this->pending, done) != done)
	{
		await_end(this, began);
	}
}

void crew_end(struct crew *this)
{
	unsigned workers = this->port.workers;

	this->port.workers = 1;
	if (workers > 1)
	{
		atomic_store(&this->waiting, CLOSING);
		futex_wake(&this->waiting, INT_MAX);
	}
	for (unsigned i = 1; i < workers; i++)
	{
		pthread_join(this->members[i].thread, NULL);
	}
}

/** Begin threads, as many as the kernel gives, which hear no signals */
static void begin(struct crew *this, unsigned workers)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (this->port.workers < workers && !this->stats.error)
	{
		member_t *member = &this->members[this->port.workers];

		member->crew = this;
		member->worker = this->port.workers;
		this->stats.error = pthread_create(&member->thread, NULL, member_main, member);
		this->port.workers += this->stats.error == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

const struct crew_port *crew_create(unsigned workers)
{
	struct crew *this = aligned_alloc(CACHE_LINE, sizeof(*this));

	if (!this)
	{
		return NULL;
	}
	memset(this, 0, sizeof(*this));
	this->port = (struct crew_port){
		.version = CREW_VERSION,
		.workers = 1,
		.run = crew_do,
		.crew = this,
	};
	this->caller_cpu = -1;
	if (sched_getaffinity(0, sizeof(this->allowed), &this->allowed))
	{
		/* more processors than a set has: workers go where the kernel puts them */
		CPU_ZERO(&this->allowed);
	}
	begin(this, workers);
	return &this->port;
}

const crew_stats_t *crew_get_stats(const struct crew *this)
{
	return &this->stats;
}

void crew_destroy(struct crew *this)
{
	crew_end(this);
	free(this);
}
