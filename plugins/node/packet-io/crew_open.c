/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "crew_open.h"
#include "crew_threads.h"

#include <limits.h>
#include <time.h>

static void crew_finalize(napi_env env, void *data, void *hint)
{
	struct crew_port *port = data;

	(void)env;
	(void)hint;
	crew_destroy(port->crew);
}

napi_value crew_open(napi_env env, napi_callback_info info)
{
	const struct crew_port *port;
	napi_value object;

	VECTOR_ARGS(env, info, 1);
	VECTOR_ARG_UINT32(env, 0, workers);
	VECTOR_CHECK(env, workers >= 1 && workers <= CREW_WORKERS_MAX,
				 "workers must be 1 to 64");
	VECTOR_TRY(env, napi_create_object(env, &object));
	VECTOR_TRY(env, napi_type_tag_object(env, object, &crew_tag));
	port = crew_create(workers);
	VECTOR_CHECK(env, port, "no memory");
	if (napi_wrap(env, object, (void*)port, crew_finalize, NULL, NULL) != napi_ok)
	{
		crew_destroy(port->crew);
		vector_throw_last(env, "napi_wrap");
		return NULL;
	}
	return object;
}

napi_value crew_stats(napi_env env, napi_callback_info info)
{
	const struct crew_port *port;
	const crew_stats_t *stats;

	VECTOR_ARGS(env, info, 2);
	port = crew_get(env, argv[0]);
	if (!port)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_float64_array, double, counters);
	VECTOR_CHECK(env, counters_entries >= 5, "counters must have 5 entries");
	stats = crew_get_stats(port->crew);
	counters[0] = port->workers;
	counters[1] = stats->error;
	counters[2] = (double)stats->runs;
	counters[3] = (double)stats->wakes;
	counters[4] = (double)stats->stalls;
	return NULL;
}

napi_value crew_close(napi_env env, napi_callback_info info)
{
	const struct crew_port *port;

	VECTOR_ARGS(env, info, 1);
	port = crew_get(env, argv[0]);
	if (port)
	{
		crew_end(port->crew);
	}
	return NULL;
}

static uint64_t trial_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

typedef struct {
	uint32_t *counts;
	uint8_t *workers;
	uint64_t busy_ns;
} trial_t;

static void try_unit(void *arg, unsigned worker, unsigned unit)
{
	trial_t *this = arg;
	uint64_t until = this->busy_ns ? trial_now() + this->busy_ns : 0;

	this->counts[unit]++;
	this->workers[unit] = (uint8_t)worker;
	while (until && trial_now() < until)
	{
	}
}

napi_value crew_try(napi_env env, napi_callback_info info)
{
	const struct crew_port *port;
	trial_t trial;

	VECTOR_ARGS(env, info, 4);
	port = crew_get(env, argv[0]);
	if (!port)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_uint32_array, uint32_t, counts);
	VECTOR_ARG_ARRAY(env, 2, napi_uint8_array, uint8_t, workers);
	VECTOR_ARG_UINT32(env, 3, busy_ns);
	VECTOR_CHECK(env, counts_entries == workers_entries && counts_entries < UINT_MAX,
				 "counts and workers must have an entry for each unit");
	trial = (trial_t){ .counts = counts, .workers = workers, .busy_ns = busy_ns };
	crew_run(port, try_unit, &trial, (unsigned)counts_entries);
	return NULL;
}
