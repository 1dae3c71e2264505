/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A crew: threads that do parts of one call of an addon (docs/adr/0031). The
 * addon cuts the work of a vector into units and gives them to the crew; run()
 * returns when all are done, so nothing outlives the call. Who decides what
 * becomes of packets is the caller's thread alone, before and after.
 *
 * packet-io makes crews (packet-io/crew.c); other addons get the same object.
 * This header is all that they share.
 */

#ifndef DVIPA_CREW_H_
#define DVIPA_CREW_H_

#include "vector.h"

/** More than any host of ours has processors to spare */
#define CREW_WORKERS_MAX 64

/** Changes with the structure below: addons are built together, but not loaded together */
#define CREW_VERSION 1

struct crew;

/**
 * Does one unit. It may not throw, not use N-API, and not touch what another
 * unit of the same run touches.
 *
 * @param worker	who does it, below crew_port.workers; 0 is the caller's thread.
 *					A worker does one unit at a time
 * @param unit		which one, below the number that run() was given
 */
typedef void (*crew_work)(void *arg, unsigned worker, unsigned unit);

/** What an addon sees of a crew */
struct crew_port {
	uint32_t version;
	/** threads that work, the caller's included; 1 once it was closed. Never grows */
	unsigned workers;
	/**
	 * Do all units, each exactly once, in any order and side by side; returns
	 * when the last is done. What units have written is there for the caller.
	 * One run at a time, and only from the thread of JavaScript.
	 */
	void (*run)(struct crew *crew, crew_work work, void *arg, unsigned units);
	struct crew *crew;
};

/** Tells crews from anything else that JavaScript may pass */
static const napi_type_tag crew_tag = {
	0x64766970612d6372ULL, 0x65775f3127b9c04dULL
};

/**
 * The crew in an object made by crewOpen(), open or closed. Valid as long as
 * the object: who keeps it holds a napi_ref.
 *
 * @return			NULL with a pending exception if it is none
 */
static inline const struct crew_port *crew_get(napi_env env, napi_value object)
{
	bool is_crew = false;
	void *port = NULL;
	napi_valuetype type;

	if (napi_typeof(env, object, &type) != napi_ok || type != napi_object ||
		napi_check_object_type_tag(env, object, &crew_tag, &is_crew) != napi_ok ||
		!is_crew || napi_unwrap(env, object, &port) != napi_ok ||
		((const struct crew_port*)port)->version != CREW_VERSION)
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", "not a crew");
		return NULL;
	}
	return port;
}

/** Have units done by a crew, or by the caller alone if port is NULL */
static inline void crew_run(const struct crew_port *port, crew_work work,
							void *arg, unsigned units)
{
	if (port && port->workers > 1 && units > 1)
	{
		port->run(port->crew, work, arg, units);
		return;
	}
	for (unsigned unit = 0; unit < units; unit++)
	{
		work(arg, 0, unit);
	}
}

#endif /* DVIPA_CREW_H_ */
