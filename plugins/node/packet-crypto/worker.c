/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "worker.h"

#include <openssl/crypto.h>
#include <stdlib.h>

bool worker_reserve(worker_t *this, size_t bytes)
{
	uint8_t *bigger;
	size_t size = 4096;

	while (size < bytes)
	{
		size *= 2;
	}
	if (size <= this->scratch_bytes)
	{
		return true;
	}
	bigger = malloc(size);
	if (!bigger)
	{
		return false;
	}
	worker_free_scratch(this);
	this->scratch = bigger;
	this->scratch_bytes = size;
	return true;
}

uint8_t *worker_scratch(worker_t *this, size_t len)
{
	if (len > this->scratch_bytes)
	{
		return NULL;
	}
	if (len > this->scratch_used)
	{
		this->scratch_used = len;
	}
	return this->scratch;
}

void worker_wipe(worker_t *this)
{
	if (this->scratch_used)
	{
		OPENSSL_cleanse(this->scratch, this->scratch_used);
		this->scratch_used = 0;
	}
}

void worker_free_scratch(worker_t *this)
{
	worker_wipe(this);
	free(this->scratch);
	this->scratch = NULL;
	this->scratch_bytes = 0;
}
