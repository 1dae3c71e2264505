/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "pause.h"
#include "endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/** Over how long a rate is taken, at least */
#define RATE_NS 1000000ull
/** A pause keeps the rest of the event loop waiting, too */
#define PAUSE_MAX_US 1000

struct pause_t {
	uv_prepare_t handle;
	napi_async_cleanup_hook_handle cleanup;
	/** from the begin of a turn to the begin of the next one; 0: no pauses */
	uint64_t period_ns;
	/** from this rate on, packets in RATE_NS */
	uint32_t busy;
	/** a turn with so many packets was worth being woken for */
	uint32_t enough;
	/** when the turn began, 0 if nothing was ready in it; and what it received */
	uint64_t turn_began;
	uint32_t turn_packets;
	/** since when packets are counted for the rate, and how many there were */
	uint64_t rate_began;
	uint64_t rate_packets;
	bool is_busy;
};

static void take_rate(pause_t *this, uint64_t now)
{
	uint64_t elapsed = now - this->rate_began;

	if (elapsed >= RATE_NS)
	{
		this->is_busy = this->rate_packets * RATE_NS >= this->busy * elapsed;
		this->rate_began = now;
		this->rate_packets = 0;
	}
}

static void sleep_until(uint64_t now, uint64_t until)
{
	struct timespec time = {
		.tv_nsec = until > now ? (long)(until - now) : 0,
	};

	if (time.tv_nsec)
	{
		/* a signal's handler may have something for the event loop: let it go on */
		nanosleep(&time, NULL);
	}
}

/** The event loop is about to look at its descriptors, and to wait for them */
static void before_poll(uv_prepare_t *handle)
{
	pause_t *this = handle->data;
	uint64_t now;

	if (!this->turn_began)
	{
		return;
	}
	now = uv_hrtime();
	take_rate(this, now);
	/* where something else is due at once it does not wait either */
	if (this->is_busy && this->turn_packets < this->enough &&
		uv_backend_timeout(handle->loop) != 0)
	{
		sleep_until(now, this->turn_began + this->period_ns);
	}
	this->turn_began = 0;
	this->turn_packets = 0;
}

void pause_turn(pause_t *this)
{
	if (this->period_ns && !this->turn_began)
	{
		this->turn_began = uv_hrtime();
	}
}

void pause_note(pause_t *this, uint32_t packets)
{
	this->turn_packets += packets;
	this->rate_packets += packets;
}

static void closed(uv_handle_t *handle)
{
	pause_t *this = handle->data;

	napi_remove_async_cleanup_hook(this->cleanup);
	free(this);
}

/** The environment goes away; hooks run in reverse order, so nothing is watched any more */
static void cleanup(napi_async_cleanup_hook_handle hook, void *data)
{
	pause_t *this = data;

	(void)hook;
	uv_close((uv_handle_t*)&this->handle, closed);
}

pause_t *pause_of(napi_env env, uv_loop_t *loop)
{
	pause_t *this = NULL;

	VECTOR_TRY(env, napi_get_instance_data(env, (void**)&this));
	if (this)
	{
		return this;
	}
	this = calloc(1, sizeof(*this));
	if (!this)
	{
		endpoint_throw_errno(env, "pause", ENOMEM);
		return NULL;
	}
	if (napi_add_async_cleanup_hook(env, cleanup, this, &this->cleanup) != napi_ok)
	{
		free(this);
		endpoint_throw_errno(env, "pause", ENOMEM);
		return NULL;
	}
	/* these two do not fail */
	uv_prepare_init(loop, &this->handle);
	uv_prepare_start(&this->handle, before_poll);
	uv_unref((uv_handle_t*)&this->handle);
	this->handle.data = this;
	/* not owned by it: the hook frees */
	VECTOR_TRY(env, napi_set_instance_data(env, this, NULL, NULL));
	return this;
}

napi_value pause_set(napi_env env, napi_callback_info info)
{
	uv_loop_t *loop;
	pause_t *this;

	VECTOR_ARGS(env, info, 3);
	VECTOR_ARG_UINT32(env, 0, microseconds);
	VECTOR_ARG_UINT32(env, 1, packets_per_ms);
	VECTOR_ARG_UINT32(env, 2, enough);
	VECTOR_CHECK(env, microseconds <= PAUSE_MAX_US,
				 "microseconds must be 0 to 1000");
	VECTOR_TRY(env, napi_get_uv_event_loop(env, &loop));
	this = pause_of(env, loop);
	if (this)
	{
		this->period_ns = microseconds * 1000ull;
		this->busy = packets_per_ms;
		this->enough = enough;
	}
	return NULL;
}
