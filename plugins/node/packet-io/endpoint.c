/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"
#include "pause.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Tells our objects from anything else that JavaScript may pass */
static const napi_type_tag endpoint_tag = {
	0x64766970612d696fULL, 0x9f2b7c0e51a84d36ULL
};

/**
 * Watching lives longer than the endpoint: libuv gives the memory of a handle
 * back only in a callback of a later turn.
 */
struct endpoint_poll_t {
	uv_poll_t handle;
	napi_env env;
	/** NULL once the endpoint is closed */
	endpoint_t *endpoint;
	/** of the environment, which has it longer than this */
	pause_t *pause;
	/** keeps the JavaScript object, and so the endpoint, alive while watched */
	napi_ref object;
	napi_ref callback;
	napi_async_context context;
	napi_async_cleanup_hook_handle cleanup;
};

void endpoint_note_error(endpoint_t *this, int error)
{
	this->errors++;
	this->last_error = error;
}

void endpoint_note_received(endpoint_t *this, uint32_t packets)
{
	this->received += packets;
	if (this->poll)
	{
		pause_note(this->poll->pause, packets);
	}
}

uint32_t endpoint_write_each(endpoint_t *this, vector_t *vector, uint32_t from,
							 uint32_t count, uint8_t refused, uint8_t too_big)
{
	uint32_t sent = 0;
	ssize_t len;

	for (uint32_t i = from; i < from + count; i++)
	{
		if (vector->verdict[i])
		{
			continue;
		}
		do
		{
			len = write(this->fd, vector->slab + vector->offset[i],
						vector->length[i]);
		}
		while (len < 0 && errno == EINTR);
		if (len < 0)
		{
			vector->verdict[i] = errno == EMSGSIZE ? too_big : refused;
			this->refused++;
			this->last_error = errno;
		}
		else
		{
			sent++;
		}
	}
	this->sent += sent;
	return sent;
}

napi_value endpoint_throw_errno(napi_env env, const char *what, int error)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	napi_throw_error(env, strerrorname_np(error), text);
	return NULL;
}

static void poll_closed(uv_handle_t *handle)
{
	endpoint_poll_t *this = handle->data;

	if (this->cleanup)
	{
		napi_remove_async_cleanup_hook(this->cleanup);
	}
	free(this);
}

/**
 * End watching and let go of the JavaScript objects. The descriptor must still be
 * open: libuv takes it out of its epoll set here.
 */
static void poll_stop(endpoint_poll_t *this)
{
	napi_handle_scope scope;

	if (uv_is_closing((uv_handle_t*)&this->handle))
	{
		return;
	}
	if (this->endpoint)
	{
		this->endpoint->poll = NULL;
		this->endpoint = NULL;
	}
	uv_poll_stop(&this->handle);
	if (napi_open_handle_scope(this->env, &scope) == napi_ok)
	{
		napi_async_destroy(this->env, this->context);
		napi_delete_reference(this->env, this->callback);
		napi_delete_reference(this->env, this->object);
		napi_close_handle_scope(this->env, scope);
	}
	uv_close((uv_handle_t*)&this->handle, poll_closed);
}

/** The environment goes away while we watch (end of a worker thread) */
static void poll_cleanup(napi_async_cleanup_hook_handle handle, void *data)
{
	endpoint_poll_t *this = data;

	(void)handle;
	poll_stop(this);
}

static void poll_call(endpoint_poll_t *this, int status)
{
	napi_env env = this->env;
	napi_handle_scope scope;
	napi_value object, callback, argument, thrown;
	bool pending = false;

	if (napi_open_handle_scope(env, &scope) != napi_ok)
	{
		return;
	}
	if (napi_get_reference_value(env, this->object, &object) == napi_ok &&
		napi_get_reference_value(env, this->callback, &callback) == napi_ok &&
		napi_create_int32(env, status, &argument) == napi_ok)
	{
		/* the callback may close the endpoint: nothing of it is used after this */
		napi_make_callback(env, this->context, object, callback, 1, &argument,
						   NULL);
		if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
			napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
		{
			napi_fatal_exception(env, thrown);
		}
	}
	napi_close_handle_scope(env, scope);
}

static void poll_ready(uv_poll_t *handle, int status, int events)
{
	endpoint_poll_t *this = handle->data;
	endpoint_t *endpoint = this->endpoint;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (!endpoint)
	{
		return;
	}
	if (endpoint->is_gone)
	{
		/* libuv sees a set of descriptors, not what is the matter with them */
		uv_poll_stop(handle);
		status = UV_EBADF;
	}
	else if (status < 0)
	{
		/* libuv stops at any error. For a socket it may pass (ENETDOWN while a link
		 * is down, with packets again once it is up): take the error and go on */
		if (getsockopt(endpoint->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
			uv_poll_start(handle, endpoint->events, poll_ready) == 0)
		{
			endpoint_note_error(endpoint, error);
			return;
		}
		endpoint_note_error(endpoint, -status);
	}
	pause_turn(this->pause);
	poll_call(this, status < 0 ? status : 0);
}

void endpoint_poll_again(endpoint_t *this, bool again)
{
	int events = again ? UV_READABLE | UV_WRITABLE : UV_READABLE;

	/* a descriptor can be written to nearly always */
	if (this->events != events)
	{
		this->events = events;
		if (this->poll)
		{
			uv_poll_start(&this->poll->handle, events, poll_ready);
		}
	}
}

napi_value endpoint_start_poll(napi_env env, napi_callback_info info)
{
	endpoint_poll_t *this;
	endpoint_t *endpoint;
	napi_valuetype type;
	napi_value name;
	uv_loop_t *loop;
	pause_t *pause;
	int error;

	VECTOR_ARGS(env, info, 2);
	endpoint = endpoint_get(env, argv[0]);
	if (!endpoint)
	{
		return NULL;
	}
	VECTOR_TRY(env, napi_typeof(env, argv[1], &type));
	VECTOR_CHECK(env, type == napi_function, "callback must be a function");
	VECTOR_CHECK(env, !endpoint->poll, "the endpoint is watched already");
	VECTOR_TRY(env, napi_get_uv_event_loop(env, &loop));
	VECTOR_TRY(env, napi_create_string_utf8(env, "dvipa-packet-io",
											NAPI_AUTO_LENGTH, &name));
	pause = pause_of(env, loop);
	if (!pause)
	{
		return NULL;
	}

	this = calloc(1, sizeof(*this));
	if (!this)
	{
		return endpoint_throw_errno(env, "poll", ENOMEM);
	}
	this->env = env;
	this->pause = pause;
	error = uv_poll_init(loop, &this->handle, endpoint->fd);
	if (error)
	{
		free(this);
		return endpoint_throw_errno(env, "poll", -error);
	}
	this->handle.data = this;
	if (napi_create_reference(env, argv[0], 1, &this->object) != napi_ok ||
		napi_create_reference(env, argv[1], 1, &this->callback) != napi_ok ||
		napi_async_init(env, NULL, name, &this->context) != napi_ok ||
		napi_add_async_cleanup_hook(env, poll_cleanup, this,
									&this->cleanup) != napi_ok ||
		(error = uv_poll_start(&this->handle, endpoint->events,
							   poll_ready)) != 0)
	{
		/* references made so far go with the environment: this is out of memory */
		uv_close((uv_handle_t*)&this->handle, poll_closed);
		return endpoint_throw_errno(env, "poll", error ? -error : ENOMEM);
	}
	this->endpoint = endpoint;
	endpoint->poll = this;
	return NULL;
}

static void endpoint_shut(endpoint_t *this)
{
	if (this->fd == -1)
	{
		return;
	}
	/* counters can be read after close */
	if (this->kind->refresh)
	{
		this->kind->refresh(this);
	}
	if (this->poll)
	{
		poll_stop(this->poll);
	}
	if (this->kind->shut && this->data)
	{
		this->kind->shut(this);
	}
	close(this->fd);
	this->fd = -1;
	if (this->fd6 != -1)
	{
		close(this->fd6);
		this->fd6 = -1;
	}
}

napi_value endpoint_set_crew(napi_env env, napi_callback_info info)
{
	const struct crew_port *crew;
	napi_ref object;
	endpoint_t *this;

	VECTOR_ARGS(env, info, 2);
	this = endpoint_get(env, argv[0]);
	crew = this ? crew_get(env, argv[1]) : NULL;
	if (!crew)
	{
		return NULL;
	}
	VECTOR_TRY(env, napi_create_reference(env, argv[1], 1, &object));
	if (this->crew_object)
	{
		napi_delete_reference(env, this->crew_object);
	}
	this->crew = crew;
	this->crew_object = object;
	return NULL;
}

napi_value endpoint_close(napi_env env, napi_callback_info info)
{
	endpoint_t *this;

	VECTOR_ARGS(env, info, 1);
	this = endpoint_unwrap(env, argv[0]);
	if (this)
	{
		endpoint_shut(this);
	}
	return NULL;
}

/** The object was collected without close(): it can not be watched then */
static void endpoint_finalize(napi_env env, void *data, void *hint)
{
	endpoint_t *this = data;

	(void)hint;
	endpoint_shut(this);
	if (this->crew_object)
	{
		napi_delete_reference(env, this->crew_object);
	}
	free(this->data);
	free(this);
}

napi_value endpoint_create(napi_env env, const endpoint_kind_t *kind, int fd,
						   int fd6)
{
	endpoint_t *this = calloc(1, sizeof(*this));
	napi_value object;

	if (this)
	{
		this->kind = kind;
		this->fd = fd;
		this->fd6 = fd6;
		this->events = UV_READABLE;
		if (napi_create_object(env, &object) == napi_ok &&
			napi_type_tag_object(env, object, &endpoint_tag) == napi_ok &&
			napi_wrap(env, object, this, endpoint_finalize, NULL,
					  NULL) == napi_ok)
		{
			return object;
		}
		free(this);
	}
	close(fd);
	if (fd6 != -1)
	{
		close(fd6);
	}
	return endpoint_throw_errno(env, kind->name, ENOMEM);
}

endpoint_t *endpoint_unwrap(napi_env env, napi_value object)
{
	endpoint_t *this;
	bool is_ours = false;
	napi_valuetype type;

	VECTOR_TRY(env, napi_typeof(env, object, &type));
	VECTOR_CHECK(env, type == napi_object, "not an endpoint");
	VECTOR_TRY(env, napi_check_object_type_tag(env, object, &endpoint_tag,
											   &is_ours));
	VECTOR_CHECK(env, is_ours, "not an endpoint");
	VECTOR_TRY(env, napi_unwrap(env, object, (void**)&this));
	return this;
}

endpoint_t *endpoint_get(napi_env env, napi_value object)
{
	endpoint_t *this = endpoint_unwrap(env, object);

	if (this)
	{
		VECTOR_CHECK(env, this->fd != -1, "the endpoint is closed");
	}
	return this;
}
