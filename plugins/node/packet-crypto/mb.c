/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "mb.h"

#if __has_include(<intel-ipsec-mb.h>)

#include "mb_library.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <pthread.h>

static IMB_MGR *(*alloc)(uint64_t);
static void (*init)(IMB_MGR*, IMB_ARCH*);
static void (*release)(IMB_MGR*);
static size_t (*size)(void);
static IMB_MGR *manager;
static const char *version;
static const char *missing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/** Find the library and have it look at the CPU; says what is missing */
static const char *load(void)
{
	unsigned (*number)(void);
	const char *(*text)(void);
	IMB_ARCH arch = IMB_ARCH_NONE;
	/* never unloaded: its functions are used until the process ends */
	void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library)
	{
		return "libIPSec_MB.so.1 is not installed";
	}
	alloc = (IMB_MGR *(*)(uint64_t))dlsym(library, "alloc_mb_mgr");
	init = (void (*)(IMB_MGR*, IMB_ARCH*))dlsym(library, "init_mb_mgr_auto");
	release = (void (*)(IMB_MGR*))dlsym(library, "free_mb_mgr");
	size = (size_t (*)(void))dlsym(library, "imb_get_mb_mgr_size");
	number = (unsigned (*)(void))dlsym(library, "imb_get_version");
	text = (const char *(*)(void))dlsym(library, "imb_get_version_str");
	if (!alloc || !init || !release || !size || !number || !text)
	{
		return "libIPSec_MB.so.1 has not the functions of 1.0 and later";
	}
	/* functions are called by their place in a structure that only grows within 1.x */
	if (number() < IMB_VERSION_NUM || number() >= IMB_VERSION(2, 0, 0))
	{
		return "libIPSec_MB.so.1 is older than what the addon was built with";
	}
	manager = alloc(0);
	if (!manager)
	{
		return "libIPSec_MB.so.1 gives no manager";
	}
	init(manager, &arch);
	if (arch <= IMB_ARCH_NOAESNI)
	{
		return "the CPU has not AES and PCLMULQDQ";
	}
	version = text();
	return NULL;
}

static void load_once(void)
{
	missing = load();
}

const char *mb_missing(void)
{
	pthread_once(&once, load_once);
	return missing;
}

const char *mb_version(void)
{
	return mb_missing() ? NULL : version;
}

IMB_MGR *mb_manager(void)
{
	return mb_missing() ? NULL : manager;
}

bool mb_open_jobs(worker_t *worker)
{
	if (!worker->jobs)
	{
		worker->jobs = alloc(0);
		if (!worker->jobs)
		{
			return false;
		}
		init(worker->jobs, NULL);
	}
	return true;
}

void mb_done(const IMB_JOB *job)
{
	if (job)
	{
		((place_t*)job->user_data)->is_done = job->status == IMB_STATUS_COMPLETED;
	}
}

void mb_flush(worker_t *worker)
{
	IMB_JOB *job;

	while (worker->jobs && (job = IMB_FLUSH_JOB(worker->jobs)))
	{
		mb_done(job);
	}
}

void mb_close_jobs(worker_t *worker)
{
	if (worker->jobs)
	{
		/* in its lanes are states that keys have made */
		OPENSSL_cleanse(worker->jobs, size());
		release(worker->jobs);
		worker->jobs = NULL;
	}
}

#else

const char *mb_missing(void)
{
	return "the addon was built without intel-ipsec-mb.h";
}

const char *mb_version(void)
{
	return NULL;
}

bool mb_open_jobs(worker_t *worker)
{
	(void)worker;
	return false;
}

void mb_flush(worker_t *worker)
{
	(void)worker;
}

void mb_close_jobs(worker_t *worker)
{
	(void)worker;
}

#endif
