/* fake-token.c - job tokens for tests of the scheduler: counts those that live, keeps nothing. */
#include "base/base.h"

#include "fake-token.h"
#include "net/token.h"

int fake_tokens_made;

int token_create_job(struct token_store *s, struct db_tx *tx, str project, str job, usec_t expires_at, char ret_text[TOKEN_TEXT_SIZE],
                     struct err *reterr)
{
	(void)s;
	(void)tx;
	(void)project;
	(void)job;
	(void)expires_at;
	(void)reterr;
	(void)snprintf(ret_text, TOKEN_TEXT_SIZE, "weir_j_fake%d", ++fake_tokens_made);
	return 0;
}

int token_end_job(struct token_store *s, struct db_tx *tx, str job, struct err *reterr)
{
	(void)s;
	(void)tx;
	(void)job;
	(void)reterr;
	return 0;
}
